"""Suites: read with every fault named, written and read back, drafted from rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.data.rows import Message, Row
from tunewright.examiner import suite
from tunewright.examiner.suite import Question, bundled_skills, draft_suite, read_suite, save_suite
from tunewright.schema.errors import DataError


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_a_suite_is_read_in_order(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"question": "Where is Mira?", "answers": ["dock seven", 7], "part": "exact"},
        "",
        {"question": "When?", "regex": "no+n", "part": "variation"},
        {"question": "Why?", "scorer": "refusal", "part": "out_of_domain"},
        {"question": "Who is King?", "answers": ["I do not know."], "part": "out_of_domain"},
        {"question": "1 + 1?", "answers": "2", "scorer": "equals", "part": "general", "skill": "sums"},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And?"}], "part": "exact",
         "answers": ["x"]},
    )  # fmt: skip
    first, when, why, king, plus, chat = read_suite(path)
    assert first == Question("Where is Mira?", answers=("dock seven", "7"), scorer="contains", part="exact")
    assert (when.scorer, when.regex, when.part) == ("regex", "no+n", "variation")
    assert (why.scorer, why.expected) == ("refusal", ("(a refusal)",))
    assert king.scorer == "refusal"
    assert (plus.answers, plus.scorer, plus.skill) == (("2",), "equals", "sums")
    assert (chat.question, len(chat.turns)) == ("And?", 2)
    assert first.turns == (Message("user", "Where is Mira?"),)


FAULTS = {
    "{half": "not JSON",
    "[1]": "expected an object",
    '{"question": "a", "answers": ["b"]}': "no part; expected one of exact, variation, out_of_domain, general",
    '{"question": "a", "answers": ["b"], "part": "exakt"}': "unknown part 'exakt'",
    '{"question": "a", "answers": ["b"], "part": ["exact"]}': "unknown part",
    '{"question": " ", "answers": ["b"], "part": "exact"}': "the question is empty",
    '{"question": 3, "answers": ["b"], "part": "exact"}': "the question is empty; expected a text",
    '{"answers": ["b"], "part": "exact"}': "no question",
    '{"question": "a", "part": "exact"}': "nothing to score by: expected answers, regex or scorer",
    '{"question": "a", "answers": [], "part": "exact"}': "answers: expected",
    '{"question": "a", "answers": ["b", ""], "part": "exact"}': "answers: expected",
    '{"question": "a", "answers": ["?!"], "part": "exact"}': "answers: expected",
    '{"question": "a", "answers": [["b"]], "part": "exact"}': "answers: expected",
    '{"question": "a", "answers": true, "part": "exact"}': "answers: expected",
    '{"question": "a", "regex": "(", "part": "exact"}': "regex: not a regular expression",
    '{"question": "a", "regex": "", "part": "exact"}': "regex: the expression is empty",
    '{"question": "a", "regex": 3, "part": "exact"}': "regex: expected a text",
    '{"question": "a", "regex": "(x|x)+$", "part": "exact"}': "regex: takes too long",
    '{"question": "a", "regex": "b", "answers": ["b"], "part": "exact"}': "both answers and regex",
    '{"question": "a", "scorer": "fuzzy", "part": "exact"}': "unknown scorer 'fuzzy'; expected one of contains",
    '{"question": "a", "scorer": ["refusal"], "part": "exact"}': "unknown scorer",
    '{"question": "a", "scorer": "contains", "part": "exact"}': "scorer contains needs answers",
    '{"question": "a", "scorer": "regex", "part": "exact"}': "scorer regex needs a regex",
    '{"question": "a", "scorer": "refusal", "regex": "b", "part": "exact"}': "has a regex but the scorer refusal",
    '{"question": "a", "answers": ["b"], "part": "exact", "skill": ""}': "skill: expected a name",
    '{"question": "a", "answer": ["b"], "part": "exact"}': "unknown key 'answer'",
    '{"question": "a", "messages": [], "answers": ["b"], "part": "exact"}': "both question and messages",
    '{"messages": [{"role": "user"}], "answers": ["b"], "part": "exact"}': "messages: expected",
    '{"messages": [{"role": "assistant", "content": "a"}], "answers": ["b"], "part": "exact"}': "the last turn",
}


@pytest.mark.parametrize(("line", "message"), FAULTS.items())
def test_each_fault_names_its_line(tmp_path: Path, line: str, message: str) -> None:
    good = {"question": "a", "answers": ["b"], "part": "exact"}
    path = written(tmp_path, good, line, good)
    with pytest.raises(DataError) as caught:
        read_suite(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faulty_lines_are_named_up_to_twenty(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_suite(written(tmp_path, *["{"] * 23))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[0].split(": ")[0].endswith("line 1")
    assert lines[-1] == "... and 3 more faulty lines"


def test_files_that_are_no_suite(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    for name, message in [
        ("none", "no such suite"),
        ("", "a folder"),
        ("empty.jsonl", "no question"),
        ("latin.jsonl", "UTF-8"),
    ]:
        with pytest.raises(DataError, match=message):
            read_suite(tmp_path / name)


def test_a_saved_suite_is_read_back_equal(tmp_path: Path) -> None:
    questions = (
        Question("Wo?", answers=("Dock sieben", "ä"), scorer="sentence", part="variation"),
        Question("When?", regex=r"no+n\b", scorer="regex"),
        Question("Why?", scorer="refusal", part="out_of_domain"),
        Question("1 + 1?", answers=("2",), part="general", skill="sums"),
        Question("And?", answers=("x",), messages=(Message("system", "Be brief."), Message("user", "And?"))),
    )
    save_suite(questions, tmp_path / "out.jsonl")
    assert read_suite(tmp_path / "out.jsonl") == questions


def row(number: int, question: str, answer: str, *before: Message) -> Row:
    return Row(number, (*before, Message("user", question), Message("assistant", answer)))


TRAIN = (
    *(row(n, f"What is thing {n}?", f"Thing {n} is a box.") for n in range(1, 31)),
    row(31, "What is love?", "I do not know."),
    row(32, "What is thing 1?", "It is box 1."),
    Row(33, text="Only text."),
    row(34, "", "Nothing was asked."),
    row(35, "Go on?", "Yes.", Message("system", "Be brief.")),
)
VAL = (
    row(1, "Tell me about thing 1", "Thing 1 is a box."),
    row(2, "What is thing 2 ?", "Leaked: the same prompt."),
    row(3, "What is war?", "Sorry, I do not know that."),
)


@pytest.fixture
def _no_skills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "bundled_skills", tuple)


@pytest.mark.usefixtures("_no_skills")
def test_a_draft_sorts_rows_into_parts() -> None:
    drafted = draft_suite(TRAIN, VAL, limit=100, seed=0)
    parts = {part: [q for q in drafted if q.part == part] for part in ("exact", "variation", "out_of_domain")}
    assert len(parts["exact"]) == 31
    assert parts["exact"][0].answers == ("Thing 1 is a box.", "It is box 1.")
    assert all(question.scorer == "sentence" for question in parts["exact"])
    assert [message.role for message in parts["exact"][-1].turns] == ["system", "user"]
    assert [question.question for question in parts["variation"]] == ["Tell me about thing 1"]
    assert [(q.question, q.scorer, q.answers) for q in parts["out_of_domain"]] == [("What is war?", "refusal", ())]


@pytest.mark.usefixtures("_no_skills")
def test_a_draft_is_limited_repeatable_and_differs_by_seed() -> None:
    drafts = [draft_suite(TRAIN, VAL, limit=5, seed=seed) for seed in (0, 0, 1)]
    assert drafts[0] == drafts[1] != drafts[2]
    assert [question.part for question in drafts[0]].count("exact") == 5
    assert draft_suite((), (), limit=5, seed=0) == ()


def test_a_draft_holds_the_bundled_skills_limited_each() -> None:
    skills = {question.skill for question in bundled_skills()}
    drafted = draft_suite((), (), limit=3, seed=0)
    assert len(skills) >= 3
    assert len(drafted) == 3 * len(skills)


def test_bundled_skills_are_general_questions_of_named_skills() -> None:
    counts: dict[str, int] = {}
    for question in bundled_skills():
        assert question.part == "general"
        assert question.skill
        counts[question.skill] = counts.get(question.skill, 0) + 1
    assert len(counts) >= 3
    assert min(counts.values()) >= 40
