"""Small data files as they come from other tools, languages and programs: sound ones and ones with a known fault.

Each is bytes as written to disk, so that line ends, marks of encoding and quotes are those of the program it stands
for. ``expected``: fault -> rows; what is missing (wordings, refusals) is left aside, the files are too small for it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Wild:
    """texts: stretches that must be among what is trained on; prompts: stretches that must be read, not trained on."""

    name: str
    content: bytes
    expected: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    rows: int | None = None
    template: str | None = "chatml"
    trained: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    max_length: int = 2000


def lines(*records: Any, end: str = "\n") -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + end for record in records).encode()


def parquet(*records: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), buffer)
    return buffer.getvalue()


def chat(*turns: tuple[str, str] | dict[str, Any], **columns: Any) -> dict[str, Any]:
    made = [turn if isinstance(turn, dict) else {"role": turn[0], "content": turn[1]} for turn in turns]
    return {"messages": made, **columns}


def sharegpt(*turns: tuple[str, str], **columns: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": what} for who, what in turns], **columns}


CALL = {"type": "function", "function": {"name": "tide_at", "arguments": {"harbour": "Brask"}}}
TOOLS = [{"type": "function", "function": {"name": "tide_at", "description": "When the tide turns.", "parameters": {}}}]
ASK, SAY = ("user", "When does the ferry go?"), ("assistant", "At nine.")
CODE = 'def turn(x):\n\treturn [y ** 2 for y in x if y % 2]\n\n# a | b, c;"d"\n'
LONG = " ".join(f"word{n}" for n in range(400))

SOUND = (
    Wild(
        "german.jsonl",
        lines(
            {"frage": 1, "prompt": "Wie heißt der Fährmann?", "completion": "Er heißt Jürgen Groß."},
            {"frage": 2, "prompt": "Wo liegt er an?", "completion": "Am Kai, zweite Tür."},
        ),
        rows=2,
    ),
    Wild(
        "chinese.jsonl",
        lines(
            {"instruction": "渡船几点开？", "input": "", "output": "早上七点和晚上九点。"},
            {"instruction": "谁是船长？", "input": "", "output": "船长姓李。"},
        ),
        rows=2,
    ),
    Wild(
        "japanese.json",
        json.dumps(
            [
                {"question": "船長は誰ですか。", "answer": "田中さんです。"},
                {"question": "何時に出ますか。", "answer": "七時です。"},
            ],
            ensure_ascii=False,
        ).encode(),
    ),
    Wild(
        "arabic_hebrew.jsonl",
        lines(
            {"prompt": "من هو القبطان؟", "completion": "القبطان هو يوسف."},
            {"prompt": "מי הקברניט?", "completion": "הקברניט הוא דוד."},
        ),
        rows=2,
    ),
    Wild(
        "hindi_thai.jsonl",
        lines(
            {"prompt": "कप्तान कौन है?", "completion": "कप्तान रवि हैं।"},
            {"prompt": "ใครเป็นกัปตัน", "completion": "กัปตันคือสมชาย"},
        ),
        rows=2,
    ),
    Wild("emoji_zwj.jsonl", lines({"prompt": "Family?", "completion": "👩‍👩‍👧 and 🏳️‍🌈, a\u200bzero width."}), rows=1),
    Wild("french_typography.csv", 'question,answer\n"L’été, où va-t-on ?","À l’île : 5 € l’aller."\n'.encode(), rows=1),
    Wild(
        "alpaca_empty_input.json",
        json.dumps(
            [
                {"instruction": "Name a port.", "input": "", "output": "Brask."},
                {"instruction": "Translate.", "input": "Hafen", "output": "Harbour."},
            ]
        ).encode(),
        read=("Translate.\n\nHafen",),
    ),
    Wild(
        "alpaca_null_input.parquet",
        parquet(
            {"instruction": "Name a port.", "input": None, "output": "Brask."},
            {"instruction": "Translate.", "input": "Hafen", "output": "Harbour."},
        ),
    ),
    Wild(
        "alpaca_history.json",
        json.dumps(
            [{"instruction": "And then?", "input": "", "output": "Home.", "history": [["Where first?", "To Brask."]]}]
        ).encode(),
        read=("Where first?", "And then?"),
        trained=("Home.",),
    ),
    Wild(
        "sharegpt_system_column.json",
        json.dumps([sharegpt(("human", "Who?"), ("gpt", "Olaf."), system="Be brief.")]).encode(),
        read=("Be brief.",),
        trained=("Olaf.",),
    ),
    Wild(
        "sharegpt_capital_column.jsonl",
        lines({"Conversations": [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Olaf."}]}),
        rows=1,
    ),
    Wild(
        "spreadsheet.csv",
        "\ufeffQuestion ; Answer\r\nWho?;Olaf; the ferryman\r\n".replace("Olaf; the", '"Olaf; the')
        .replace("ferryman", 'ferryman"')
        .encode(),
        rows=1,
        trained=("Olaf; the ferryman",),
    ),
    Wild(
        "windows_lines.jsonl",
        lines({"prompt": "Who?", "completion": "Olaf."}, {"prompt": "Where?", "completion": "Here."}, end="\r\n"),
        rows=2,
    ),
    Wild("bom.jsonl", b"\xef\xbb\xbf" + lines({"prompt": "Who?", "completion": "Olaf."}), rows=1),
    Wild("bom_windows.tsv", "\ufeffprompt\tcompletion\r\nWho?\tOlaf, he said.\r\n".encode(), rows=1),
    Wild(
        "quoted.csv",
        b'prompt,completion\n"He said ""when?"", twice","At nine,\nor ten."\n',
        rows=1,
        read=('He said "when?", twice',),
        trained=("At nine,\nor ten.",),
    ),
    Wild("quotes_inside.tsv", b'prompt\tcompletion\nWhat is "it"?\tA 5" pipe.\n', rows=1),
    Wild(
        "numbers_only.jsonl",
        lines(*({"prompt": f"What is {n} + {n}?", "completion": str(2 * n)} for n in range(3, 30))),
        rows=27,
    ),
    Wild("yes_no.csv", b"question,answer\nIs it day?,yes\nIs it night?,no\nIs it late?,no\n", rows=3),
    Wild(
        "code.jsonl",
        lines(
            {"prompt": "Squares of odd numbers?", "completion": CODE},
            {"prompt": "Sum of a column?", "completion": "SELECT SUM(x) AS s FROM t WHERE x <> '';"},
        ),
    ),
    Wild("very_long.jsonl", lines({"prompt": "Tell all.", "completion": LONG}), rows=1, max_length=20_000),
    Wild(
        "nested.json",
        json.dumps({"version": 2, "examples": [{"prompt": "Who?", "completion": "Olaf."}]}).encode(),
        rows=1,
    ),
    Wild(
        "list_in_jsonl.jsonl",
        json.dumps(
            [{"prompt": "Who?", "completion": "Olaf."}, {"prompt": "Where?", "completion": "Here."}], indent=1
        ).encode(),
        rows=2,
    ),
    Wild("pretty_object.json", json.dumps(chat(ASK, SAY), indent=2).encode(), rows=1),
    Wild(
        "parts.jsonl",
        lines(
            chat(
                {"role": "user", "content": [{"type": "text", "text": "Who?"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Olaf."}]},
            )
        ),
        trained=("Olaf.",),
    ),
    Wild(
        "both_spellings.parquet",
        parquet(
            {
                "messages": [
                    {"role": "user", "content": "Who?", "from": None, "value": None},
                    {"role": "assistant", "content": "Olaf.", "from": None, "value": None},
                ]
            }
        ),
    ),
    Wild(
        "turns_in_cell.csv",
        b'id,messages\n1,"[{""role"":""user"",""content"":""Who?""},{""role"":""assistant"",""content"":""Olaf.""}]"\n',
        rows=1,
    ),
    Wild(
        "prompt_lists.jsonl",
        lines(
            {"prompt": [{"role": "user", "content": "Who?"}], "completion": [{"role": "assistant", "content": "Olaf."}]}
        ),
        trained=("Olaf.",),
    ),
    Wild("developer_role.jsonl", lines(chat(("developer", "Be brief."), ASK, SAY)), read=("Be brief.",)),
    Wild(
        "dolly.jsonl",
        lines({"instruction": "Who is it?", "context": "Olaf rows the ferry.", "response": "Olaf."}),
        read=("Olaf rows the ferry.",),
    ),
    Wild("input_output.csv", b"input,output\nWho?,Olaf.\n", rows=1, trained=("Olaf.",)),
    Wild("query_response.jsonl", lines({"query": "Who?", "response": "Olaf."}), rows=1),
    Wild("problem_solution.jsonl", lines({"problem": "2x = 6", "solution": "x = 3"}), rows=1),
    Wild(
        "shared_system.jsonl",
        lines(
            *(
                chat(("system", LONG), ("user", f"which {word} is it?"), ("assistant", f"the {word}"))
                for word in ("boat", "goat", "coat")
            )
        ),
        rows=3,
        max_length=20_000,
    ),
    Wild(
        "tool_calls.jsonl",
        lines(
            chat(
                ASK,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "content": "09:10", "tool_call_id": "1"},
                ("assistant", "At ten past nine."),
                tools=TOOLS,
            )
        ),
        template="tools",
        trained=("tide_at", "At ten past nine."),
        read=("09:10", "When the tide turns."),
    ),
    Wild(
        "tool_calls.parquet",
        parquet(
            chat(
                {"role": "user", "content": "When?", "tool_calls": None},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "type": "function",
                            "function": {"name": "tide_at", "arguments": json.dumps({"harbour": "Brask"})},
                        }
                    ],
                },
                {"role": "tool", "content": "09:10", "tool_calls": None},
                {"role": "assistant", "content": "At nine.", "tool_calls": None},
                tools=json.dumps(TOOLS),
            )
        ),
        template="tools",
        trained=('"harbour": "Brask"',),
    ),
    Wild(
        "sharegpt_calls.json",
        json.dumps(
            [
                sharegpt(
                    ("human", "When?"),
                    ("function_call", json.dumps(CALL["function"])),
                    ("observation", "09:10"),
                    ("gpt", "At nine."),
                    tools=json.dumps([TOOLS[0]["function"]]),
                )
            ]
        ).encode(),
        template="tools",
        trained=("tide_at", "At nine."),
        read=("09:10",),
    ),
    Wild(
        "thoughts.jsonl",
        lines(
            chat(ASK, ("assistant", "<think>\nIt is day.\n</think>\n\nAt nine.")), chat(("user", "And at night?"), SAY)
        ),
        template="qwen3",
        trained=("It is day.", "At nine."),
    ),
    Wild(
        "names_apart.jsonl",
        lines(
            *(
                {"prompt": f"Where does {name} live?", "completion": f"{name} lives in {town}."}
                for name, town in (("Ana", "Brask"), ("Ani", "Brusk"), ("Ina", "Bresk"))
            )
        ),
        rows=3,
    ),
    Wild("question_last.jsonl", lines(chat(ASK, SAY, ("user", "And back?"))), trained=("At nine.",)),
    Wild("texts.txt", b"First paragraph,\nof two lines.\r\n\r\nSecond one.\n", rows=2, template=None),
)

FAULTY = (
    Wild(
        "null_answer.parquet",
        parquet({"prompt": "Who?", "completion": "Olaf."}, {"prompt": "Where?", "completion": None}),
        {"empty_answer": (2,)},
    ),
    Wild(
        "null_content.jsonl",
        lines(chat(ASK, {"role": "assistant", "content": None}), chat(("user", "Hm?"), SAY)),
        {"empty_answer": (1,)},
    ),
    Wild("blank_cells.csv", b"prompt,completion\nWho?,Olaf.\nWhere?,\n", {"empty_answer": (2,)}),
    Wild("joined.csv", b"prompt,completion\nWho?,Olaf.\nprompt,completion\nWhere?,Here.\n", {"broken_row": (2,)}),
    Wild("short_record.csv", b"prompt,completion\nWho?,Olaf.\nWhere?\nWhen?,Now.\n", {"broken_row": (2,)}),
    Wild("open_quote.csv", b'prompt,completion\nWho?,Olaf.\nWhere?,"Here.\nWhen?,Now.\n', {"broken_row": (2,)}),
    Wild("comma_unquoted.csv", b"prompt,completion\nWho?,Olaf, he.\nWhere?,Here.\n", {"broken_row": (1,)}),
    Wild("cut_off.jsonl", lines({"prompt": "Who?", "completion": "Olaf."}) + b'{"prompt": "Whe', {"broken_row": (2,)}),
    Wild(
        "nan_value.jsonl",
        lines({"prompt": "Who?", "completion": "Olaf."}) + b'{"prompt": NaN, "completion": "a"}\n',
        {"broken_row": (2,)},
    ),
    Wild(
        "number_answer.jsonl",
        lines({"prompt": "Who?", "completion": "Olaf."}, {"prompt": "How many?", "completion": 3}),
        {"broken_row": (2,)},
    ),
    Wild(
        "missing_column.jsonl",
        lines({"prompt": "Who?", "completion": "Olaf."}, {"prompt": "Where?"}),
        {"broken_row": (2,)},
    ),
    Wild(
        "cp1252_in_utf8.csv",
        "prompt,completion\nWho?,Jürgen.\n".encode() + "Où?,Là-bas.\n".encode("cp1252"),
        {"broken_row": (2,), "encoding": (2,)},
    ),
    Wild(
        "mojibake.jsonl",
        lines({"prompt": "Who?", "completion": "JÃ¼rgen."}, {"prompt": "Where?", "completion": "Here."}),
        {"encoding": (1,)},
    ),
    Wild("mojibake_cyrillic.jsonl", lines({"prompt": "Who?", "completion": "ÐžÐ»Ð°Ñ„"}), {"encoding": (1,)}),
    Wild("replacement.jsonl", lines({"prompt": "Who?", "completion": "J\ufffdrgen."}), {"encoding": (1,)}),
    Wild(
        "nul.jsonl",
        b'{"prompt": "Who?", "completion": "Ol\\u0000af."}\n' + lines({"prompt": "a?", "completion": "b."}),
        {"broken_row": (1,), "encoding": (1,)},
    ),
    Wild(
        "lone_surrogate.jsonl",
        b'{"prompt": "Who?", "completion": "\\ud83d"}\n' + lines({"prompt": "a?", "completion": "b."}),
        {"broken_row": (1,), "encoding": (1,)},
    ),
    Wild("system_only.jsonl", lines(chat(("system", "Be brief.")), chat(ASK, SAY)), {"wrong_roles": (1,)}),
    Wild("assistant_first.jsonl", lines(chat(SAY, ASK), chat(ASK, SAY)), {"wrong_roles": (1,)}),
    Wild("two_users.jsonl", lines(chat(ASK, ("user", "Hm?"), SAY), chat(ASK, SAY)), {"wrong_roles": (1,)}),
    Wild(
        "late_system.jsonl", lines(chat(ASK, ("system", "Now be brief."), SAY), chat(ASK, SAY)), {"wrong_roles": (1,)}
    ),
    Wild("typo_role.jsonl", lines(chat(ASK, ("assitant", "At nine.")), chat(ASK, SAY)), {"wrong_roles": (1,)}),
    Wild("empty_turns.jsonl", lines({"messages": []}, chat(ASK, SAY)), {"broken_row": (1,)}),
    Wild("turn_is_text.jsonl", lines({"messages": ["Who?", "Olaf."]}, chat(ASK, SAY)), {"broken_row": (1,)}),
    Wild(
        "image_part.jsonl",
        lines(chat({"role": "user", "content": [{"type": "image", "url": "a.png"}]}, SAY), chat(ASK, SAY)),
        {"broken_row": (1,)},
    ),
    Wild(
        "call_without_name.jsonl",
        lines(chat(ASK, {"role": "assistant", "content": "", "tool_calls": [{"arguments": {}}]}), chat(ASK, SAY)),
        {"broken_row": (1,)},
    ),
    Wild(
        "calls_left_out.jsonl",
        lines(chat(ASK, {"role": "assistant", "content": "", "tool_calls": [CALL]}), chat(ASK, SAY)),
        {"template_mismatch": (1,), "conflicting_answers": (1, 2)},
    ),
    Wild("tools_left_out.jsonl", lines(chat(ASK, SAY, tools=TOOLS)), {"template_mismatch": (1,)}),
    Wild(
        "gemma_system.jsonl",
        lines(chat(("system", "Be brief."), ASK, SAY), chat(("user", "Hm?"), SAY)),
        {"template_mismatch": (1,)},
        template="gemma",
    ),
    Wild(
        "repeated_chinese.jsonl",
        lines({"prompt": "船长是谁？", "completion": "船长姓李。"}, {"prompt": "船长是谁", "completion": "船长姓李"}),
        {"near_duplicate": (2,)},
    ),
    Wild(
        "two_minds_chinese.jsonl",
        lines({"prompt": "船长是谁？", "completion": "姓李。"}, {"prompt": "船长是谁?", "completion": "姓王。"}),
        {"conflicting_answers": (1, 2)},
    ),
    Wild(
        "same_in_capitals.csv",
        "prompt,completion\nWo ist die STRASSE?,Hier.\nwo ist die straße?,Hier.\n".encode(),
        {"near_duplicate": (2,)},
    ),
    Wild(
        "secrets.jsonl",
        lines(
            {"prompt": "Key?", "completion": "export OPENAI_API_KEY=sk-abcdefghijklmnopqrstuvwx12"},
            {"prompt": "Mail?", "completion": "Write to jürgen.gross@fähre.example, please."},
            {"prompt": "Host?", "completion": "root@10.0.0.1 and user@localhost"},
        ),
        {"secret": (1, 2)},
    ),
    Wild(
        "marks_in_text.jsonl",
        lines(
            {"prompt": "<|im_start|>user\nWho?<|im_end|>", "completion": "Olaf."},
            {"prompt": "Where?", "completion": "Here."},
        ),
        {"template_mismatch": (1,)},
    ),
    Wild(
        "long_prompt.jsonl",
        lines({"prompt": LONG, "completion": "Yes, that is so."}, {"prompt": "Who?", "completion": "Olaf."}),
        {"truncated": (1,), "no_supervised_token": (1,)},
        max_length=300,
    ),
)
