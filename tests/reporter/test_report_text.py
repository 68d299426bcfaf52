"""Text and Markdown from the same tree: exact where it matters, never wider than asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_blocks import every_block

from tunewright.reporter.card import render_card
from tunewright.reporter.document import make_document
from tunewright.reporter.lines import wrap
from tunewright.reporter.text import column_widths, render_text, row_lines
from tunewright.reporter.text_tables import compare, runs_table
from tunewright.reporter.tree import Chart
from tunewright.reporter.view import read_view
from tunewright.reporter.words import columns_of

GOLDEN = Path(__file__).parent / "golden"


def test_the_text_of_the_sample_tuning_is_as_recorded(tuning: Path) -> None:
    assert render_text(read_view(tuning), 100) == (GOLDEN / "tuning.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [30, 50, 72, 80, 120])
def test_no_line_of_prose_or_chart_is_wider_than_the_terminal(tuning: Path, width: int) -> None:
    for path in (tuning, tuning / "run-1"):
        lines = render_text(read_view(path), width).splitlines()
        wide = [line for line in lines if columns_of(line) > width]
        assert all(width < 50 for _ in wide), wide[:2]  # very narrow: a table keeps 4 columns per cell


def test_plain_text_has_no_escapes_and_colour_changes_nothing_else(tuning: Path) -> None:
    plain = render_text(read_view(tuning), 100)
    coloured = render_text(read_view(tuning), 100, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_escapes_in_the_data_do_not_reach_the_terminal(make_run: Callable[..., Path], hostile: str) -> None:
    path = make_run(settings={"model": hostile, "data": hostile}, with_exam=True, command=hostile)
    text = render_text(read_view(path), 80, brief=False)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "␛[31m" in text


def test_the_full_text_has_what_the_brief_one_leaves_out(tuning: Path) -> None:
    view = read_view(tuning)
    brief, full = render_text(view), render_text(view, brief=False)
    assert "The record" in full
    assert "The record" not in brief
    assert "PeftModel.from_pretrained" in full


@given(
    st.lists(st.lists(st.text("ab 漢\n", max_size=30), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(20, 60),
)
def test_table_cells_keep_their_letters_and_their_columns(rows: list[list[str]], width: int) -> None:
    widths = column_widths(rows, width)
    assert sum(widths) + 4 <= max(width, 16)
    for row in rows:
        lines = row_lines(row, [max(2, w) for w in widths], [False, True, False])
        kept = sorted("".join(lines).replace(" ", ""))
        assert kept == sorted("".join(row).replace(" ", "").replace("\n", ""))


@given(st.text("ab 漢字", max_size=60), st.integers(2, 20))
def test_wrapped_lines_fit(text: str, width: int) -> None:
    assert all(columns_of(line) <= width for line in wrap(text, width))


def test_a_nan_is_visible_in_the_character_chart(tuning: Path) -> None:
    text = render_text(read_view(tuning / "run-1"), 80)
    assert "!!!!" in text
    assert "490 points not finite" in text


def test_runs_are_listed_with_what_is_known() -> None:
    runs = [
        {
            "run": "/runs/train-1",
            "status": "finished",
            "model": "/m/tiny",
            "eval_loss": 0.2831,
            "health": "healthy",
            "started": 0,
        },
        {"run": "/runs/train-2", "status": "damaged", "why": "run.json: damaged"},
        {
            "run": "/runs/train-3",
            "status": "failed",
            "model": "acme/x",
            "eval_loss": "NaN",
            "health": "sick",
            "started": 60,
        },
    ]
    expected = """\
run      status    model  validation loss  curve    started
────────────────────────────────────────────────────────────────────────
train-1  finished  tiny             0.283  healthy  1970-01-01 00:00 UTC
train-2  damaged
train-3  failed    x                  NaN  sick     1970-01-01 00:01 UTC
"""
    assert runs_table(runs) == expected
    assert runs_table([]) == "No runs yet.\n"


def test_a_comparison_shows_only_differences_then_results() -> None:
    answer = {
        "runs": ["/runs/a", "/runs/b|c"],
        "differences": [
            {"key": "learning_rate", "values": [2e-4, 1e-3]},
            {"key": "replay", "values": [None, {"share": 0.25}]},
        ],
        "results": [
            {"eval_loss": 0.5, "health": "healthy", "tokens": {"train": 1000}},
            {"eval_loss": "NaN", "seconds": 61},
        ],
    }
    expected = """\
setting        a     b/c
────────────────────────────────
learning_rate  2e-4  1e-3
replay         none  share: 0.25

result           a        b/c
───────────────────────────────────
validation loss  0.500    NaN
curve            healthy
training tokens  1,000
time                      1 min 1 s
"""
    assert compare(answer) == expected
    assert compare({**answer, "differences": []}).startswith("All settings are the same.")


def test_the_card_opens_with_front_matter_and_ends_with_what_a_person_must_fill_in(tuning: Path) -> None:
    card = render_card(read_view(tuning / "run-4"), curve_image="curve.svg")
    assert card.startswith('---\nlibrary_name: peft\npipeline_tag: text-generation\nbase_model: "acme/tiny-llama"\n')
    prose, todo = card.split("## To be filled in by a person")
    assert todo.count("- TODO: ") == 5
    assert "TODO" not in prose.split("---\n", 2)[2]
    assert "![Training curve of run-4](curve.svg)" in card
    assert "| The same in other words | 100 | 3 % (1–8) | 92 % (85–96) |" in card


def test_a_base_that_is_a_path_is_left_out_of_the_front_matter(make_run: Callable[..., Path]) -> None:
    card = render_card(read_view(make_run(settings={"model": "/home/me/model", "data": "rows.jsonl"})))
    assert "base_model:" not in card.split("\n---\n")[0]


def test_hostile_strings_are_no_markup_in_the_card(make_run: Callable[..., Path], hostile: str) -> None:
    card = render_card(
        read_view(make_run(settings={"model": hostile, "data": hostile}, with_exam=True, command=hostile))
    )
    outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", card, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "[a](" not in outside
    assert set(re.findall(r"</?([a-z]+)", outside)) <= {"details", "summary", "br"}


def test_a_fence_in_the_recipe_cannot_close_its_code_block(make_run: Callable[..., Path]) -> None:
    path = make_run()
    (path / "recipe.yaml").write_text("model: x\n```\n# escaped\n````\n")
    assert "`````yaml" in render_card(read_view(path))


def test_all_faces_draw_the_same_tree(tuning: Path) -> None:
    document = make_document(read_view(tuning))
    titles = [block.figure.panels[0].title for block in every_block(document) if isinstance(block, Chart)]
    text, card = render_text(read_view(tuning), brief=False), render_card(read_view(tuning))
    for face in (text, card):
        assert all(title in face for title in titles)
        assert all(section.title in face for section in document.sections)
