"""The page: well formed, self-contained, readable without eyes, and deaf to whatever the data contains."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from report_blocks import every_block

from tunewright.reporter.document import make_document
from tunewright.reporter.html import render_html, stylesheet
from tunewright.reporter.tree import Chart
from tunewright.reporter.view import RunView, TuningView, read_view
from tunewright.schema.curve import Curve, Series

VOID = {"meta", "link", "br", "hr", "img", "input", "base", "source", "wbr"}


class Page(HTMLParser):
    """The page as lists of elements; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice on {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def text(tuning: Path) -> str:
    return render_html(read_view(tuning))


@pytest.fixture(scope="module")
def parsed(text: str) -> Page:
    return Page(text)


def test_the_page_is_small_and_says_its_language(text: str, parsed: Page) -> None:
    assert len(text.encode()) < 500_000
    assert parsed.all("html")[0]["lang"] == "en"
    assert text.startswith("<!DOCTYPE html>")


def test_nothing_is_loaded_and_nothing_runs(text: str, parsed: Page) -> None:
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "use",
        "image",
    }
    for tag, attrs in parsed.elements:
        assert not [name for name in attrs if name.startswith("on")], tag
        assert "src" not in attrs
        href = attrs.get("href")
        assert href is None or href.startswith("#")
    assert "url(" not in text
    assert "@import" not in text
    policy = next(meta for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_landmarks_headings_and_links_hold_together(parsed: Page) -> None:
    tags = [tag for tag, _ in parsed.elements]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    ids = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {(attrs["href"] or "")[1:] for attrs in parsed.all("a")}
    assert targets <= set(ids)
    for section in parsed.all("section"):
        assert section["aria-labelledby"] in ids
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_each_chart_has_a_name_a_description_and_a_table(text: str, parsed: Page, tuning: Path) -> None:
    charts = [block for block in every_block(make_document(read_view(tuning))) if isinstance(block, Chart)]
    figures = re.findall(r"<figure>.*?</figure>", text, flags=re.DOTALL)
    assert len(figures) == len(charts) == 6
    for figure in figures:
        inside = Page(figure)
        (svg,) = [attrs for attrs in inside.all("svg") if attrs.get("role") == "img"]
        assert set((svg["aria-labelledby"] or "").split()) <= {attrs.get("id") for _, attrs in inside.elements}
        assert len(inside.all("table")) == 1
        assert len(inside.all("tr")) > 2


def test_tables_have_captions_and_heads_and_regions_can_be_reached(parsed: Page) -> None:
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert all(attrs.get("scope") in ("col", "row") for attrs in parsed.all("th"))
    scrolls = [attrs for attrs in parsed.all("div") if attrs.get("class") == "scroll"]
    assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in scrolls)


def test_the_story_shows_every_change_and_what_came_of_it(parsed: Page) -> None:
    words = " ".join(parsed.texts)
    for said in (
        "learning_rate 0.02 → 5e-3",
        "replay none → data: general, share: 0.25",
        "expected 0.262–0.279: missed",
    ):
        assert said in words
    assert "Use run-4, the best of 5 runs." in words
    assert "no change left whose predicted gain exceeds noise" in words


def test_hostile_strings_stay_text(make_run: Callable[..., Path], hostile: str, parsed: Page) -> None:
    read = {
        "health": hostile,
        "findings": [{"code": hostile, "symptom": hostile, "severity": hostile, "steps": [1, 9], "why": hostile}],
        "checklist": [{"mark": hostile, "value": "NaN", "ok": None}],
        "abstained": [{"symptom": hostile, "because": hostile}],
        "guide_reading": {"interpretation": hostile, "target": hostile, "tree_advice": hostile},
        "prescription": {"keep": False, "why": hostile, "changes": [{"key": hostile, "from": hostile, "to": hostile}]},
    }
    settings = {"model": hostile, "data": hostile, "loss": hostile}
    path = make_run(
        read=read, settings=settings, with_exam=True, command=hostile, versions={hostile: hostile}, status=hostile
    )
    text = render_html(read_view(path))
    attacked = Page(text)
    assert {tag for tag, _ in attacked.elements} <= {tag for tag, _ in parsed.elements}
    assert not [name for _, attrs in attacked.elements for name in attrs if name.startswith("on")]
    assert "<script>alert('x')</script>" in " ".join(attacked.texts)
    for letter in "\x00\x1b\u202e":
        assert letter not in text


def test_a_very_long_string_is_cut(make_run: Callable[..., Path]) -> None:
    path = make_run(settings={"model": "m" * 300_000, "data": "d"}, command="c" * 300_000)
    assert len(render_html(read_view(path))) < 200_000


def test_the_adapter_path_cannot_leave_its_python_string(make_run: Callable[..., Path]) -> None:
    evil = "x\"'); import os #\n\\"
    view = read_view(make_run(result={"adapter": evil}))
    assert isinstance(view, RunView)
    code = "".join(Page(render_html(view)).texts)
    assert ascii(evil) in code


def test_a_large_tuning_stays_below_two_megabytes(tuning: Path) -> None:
    view = read_view(tuning)
    assert isinstance(view, TuningView)
    long = Series.of([(step, 1.0 + 0.5 * (step % 7)) for step in range(1, 6_000)])
    curve = Curve("test", "", long, eval_loss=Series.of([(s, 1.0) for s in range(0, 6_000, 15)]), learning_rate=long)
    runs = [
        replace(run, name=f"run-{n}", view=replace(run.view, curve=curve))
        for n, run in enumerate(view.runs * 16)
        if run.view
    ]
    text = render_html(replace(view, runs=tuple(runs), best="run-3"))
    assert len(text.encode()) < 2_000_000
    assert "The curves of 40 more runs are in their own reports." in text


def channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    red, green, blue = (channel(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_and_lines_have_contrast_in_both_modes(mode: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", stylesheet(), flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[mode]))
    for name in ("ink", "quiet", "accent", "good", "warn", "bad"):
        for ground in ("paper", "raised"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)  # WCAG 2.2, 1.4.3
    for name in (name for name in colours if name.startswith("c-")):
        assert contrast(colours[name], colours["paper"]) >= 3, name  # WCAG 2.2, 1.4.11
