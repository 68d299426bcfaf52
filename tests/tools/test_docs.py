"""The documentation is true: pages made from the code are current, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools import make_docs, make_tutorial  # noqa: E402
from tunewright.cli.main import app  # noqa: E402
from tunewright.doctor.codes import CODES  # noqa: E402
from tunewright.prescribe.prescribe import all_rules  # noqa: E402
from tunewright.schema.recipe_io import KEYS  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_COMMAND = re.compile(r"^\s*(?:\$ )?(tunewright [^\n`|]+)", re.MULTILINE)
_INLINE = re.compile(r"`(tunewright [^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PLACEHOLDER = re.compile(r"[\[\]<>]|\.\.\.")


@pytest.mark.parametrize("name", make_docs.PAGES)
def test_a_page_made_from_the_code_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == make_docs.PAGES[name](), "python -m tools.make_docs"


def test_the_reference_pages_leave_nothing_out() -> None:
    findings, rules, recipe = (make_docs.PAGES[name]() for name in ("findings.md", "rules.md", "recipe.md"))
    assert all(f"### {one.code} {one.symptom}" in findings for one in CODES.values())
    assert all(f"### {rule.name}\n" in rules for rule in all_rules())
    assert all(f"| `{key}` |" in recipe for key in KEYS)


def commands_of(page: Path) -> list[str]:
    """Every command of ours on a page, in code blocks and in running text."""
    text = page.read_text(encoding="utf-8")
    inside = "\n".join(re.findall(r"```(?:bash|console[^\n]*)\n(.*?)```", text, re.DOTALL))
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    tunewright "))
    found = [*_COMMAND.findall(f"{inside}\n{indented}"), *_INLINE.findall(text)]
    return [command.split("  #")[0].split(" 2>")[0].strip() for command in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_exists_with_its_options(page: Path) -> None:
    for command in commands_of(page):
        words = shlex.split(command)[1:]
        verb: click.Command = app
        while isinstance(verb, click.Group) and words and not words[0].startswith("-"):
            inner = verb.get_command(click.Context(verb), words[0])
            assert inner is not None, f"{page.name}: {command}"
            verb, words = inner, words[1:]
        known = {option for one in verb.params for option in one.opts} | {"--help", "-h", "--json"}
        used = [word.split("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)]
        assert not set(used) - known, f"{page.name}: {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in _LINK.findall(text):
        if target.startswith(("http:", "https:")):
            continue
        file, _, anchor = target.partition("#")
        other = page.parent / file if file else page
        assert other.exists(), f"{page.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{page.name}: {target}"


def normal(text: str) -> str:
    """Text without what differs between machines: figures, drawn lines, and where lines are broken."""
    plain = re.sub(r"[-+]?\d[\d,.]*(e-?\d+)?", "#", text)
    plain = re.sub(r"# min # s", "# s", plain)  # a busy machine takes minutes
    return " ".join(re.sub(r"[─┤│└·▪●◆]+", " ", plain).split())


def test_figures_and_line_ends_are_all_that_may_differ() -> None:
    assert normal("loss 0.283\n──── 1e-4") == normal("loss  1.9 ─ 5.0e-05")
    assert normal("overfit") != normal("underfit")


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    page = make_tutorial.PAGE.read_text(encoding="utf-8")
    assert len(make_tutorial.blocks(page)) > 10
    for block, output in make_tutorial.run_all(page, tmp_path):
        printed = normal(output)
        for part in block.shown.split(f"{make_tutorial.LEFT_OUT}\n"):
            assert normal(part) in printed, f"$ {block.command}\n{output}\npython -m tools.make_tutorial"
