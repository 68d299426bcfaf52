"""export --verify: what another trainer says it would feed, beside ours; the real tools are asked by the benches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tunewright.app import verify_export
from tunewright.app.export import Written, read_source, write_export
from tunewright.cli.main import run as cli
from tunewright.cli.show_export import export_text
from tunewright.data.sources import demo_files
from tunewright.trainers.inside.host import describe
from tunewright.trainers.interpreter import Interpreter
from tunewright.trainers.matching import described
from tunewright.trainers.tools import TOOLS

TRL = TOOLS["trl"]
FOUND = Interpreter("/their/python", "1.16.0")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Written, Path]:
    folder = tmp_path_factory.mktemp("verify")
    files = demo_files()
    lines = files["train"].read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "rows.jsonl").write_text("".join(lines[:12]), encoding="utf-8")
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"model: {files['model']}\ndata: {folder}/rows.jsonl\nval_size: 0.0\nlora_rank: 4\n")
    prepared, reasons = read_source(str(recipe), {})
    return write_export(TRL, prepared, reasons, folder / "out"), folder / "out"


@pytest.fixture(scope="module")
def agreeing(written: tuple[Written, Path]) -> dict[str, Any]:
    """What a trainer says that sees all as we do."""
    rows = described(written[0].job.train)
    loss, trainable = verify_export._ours(written[0].job.recipe, written[0].job.train[:8])
    return {
        "versions": {"trl": "1.16.0"},
        "rows": rows,
        "loss_rows": 8,
        "loss": loss,
        "packed": False,
        "dtype": "float32",
        "trainable": trainable,
        "steps": written[0].job.steps,
    }


def verified(written: tuple[Written, Path], monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> dict[str, Any]:
    monkeypatch.setattr(verify_export, "_probe", lambda *_: said)
    return verify_export.verify(TRL, *written, FOUND)


def kinds(found: dict[str, Any]) -> list[str]:
    return [one["what"] for one in found["differences"]]


def test_a_trainer_that_sees_the_same_is_told_so(written: Any, agreeing: Any, monkeypatch: Any) -> None:
    found = verified(written, monkeypatch, agreeing)
    assert (found["same"], found["differences"]) == (True, [])
    for key in ("rows", "tokens", "supervised", "steps", "trainable"):
        assert found[key]["ours"] == found[key]["theirs"] > 0
    assert found["loss"]["ours"] == pytest.approx(found["loss"]["theirs"])


def test_the_order_of_the_rows_does_not_matter(written: Any, agreeing: Any, monkeypatch: Any) -> None:
    rows = agreeing["rows"]
    found = verified(written, monkeypatch, {**agreeing, "rows": [*rows[:8][::-1], *rows[8:][::-1]]})
    assert found["same"]
    assert found["loss"]["ours"] == pytest.approx(found["loss"]["theirs"])


def test_tokens_after_the_last_trained_one_are_explained(written: Any, agreeing: Any, monkeypatch: Any) -> None:
    longer = [{**row, "tokens": row["tokens"] + 1} for row in agreeing["rows"]]
    found = verified(written, monkeypatch, {**agreeing, "rows": longer})
    assert (found["same"], kinds(found)) == (True, ["tokens"])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"trainable": 1}, "trainable"),
        ({"steps": 1}, "steps"),
        ({"loss": 0.5}, "loss"),
        ({"loss": math.nan}, "loss"),
        ({"loss": None}, "loss"),
    ],
)
def test_a_figure_that_differs_is_a_difference(
    written: Any, agreeing: Any, monkeypatch: Any, change: dict[str, Any], kind: str
) -> None:
    found = verified(written, monkeypatch, {**agreeing, **change})
    assert (found["same"], kinds(found)) == (False, [kind])


def test_rows_that_differ_are_named_and_so_is_a_loss_that_cannot_be_compared(
    written: Any, agreeing: Any, monkeypatch: Any
) -> None:
    first = written[0].job.train[0]
    everything = describe(first.ids.tolist(), first.ids.tolist())
    found = verified(written, monkeypatch, {**agreeing, "rows": [everything, *agreeing["rows"][1:]]})
    assert kinds(found) == ["other labels", "loss"]
    assert found["differences"][0]["rows"] == [1]
    assert found["loss"]["ours"] is None
    assert found["supervised"]["theirs"] > found["supervised"]["ours"]


def test_packed_rows_are_compared_by_their_totals(written: Any, agreeing: Any, monkeypatch: Any) -> None:
    total = sum(row["supervised"] for row in agreeing["rows"])
    packed = [{"tokens": 999, "supervised": total, "of_tokens": "a", "of_both": "b"}]
    found = verified(written, monkeypatch, {**agreeing, "packed": True, "rows": packed, "loss_rows": 1})
    assert (found["same"], kinds(found)) == (True, ["packed", "loss"])
    packed[0]["supervised"] = total - 1
    found = verified(written, monkeypatch, {**agreeing, "packed": True, "rows": packed, "loss_rows": 1})
    assert (found["same"], kinds(found)) == (False, ["packed", "supervised", "loss"])


def test_both_sides_are_printed_with_every_difference(written: Any, agreeing: Any, monkeypatch: Any) -> None:
    found = verified(written, monkeypatch, {**agreeing, "loss": 0.5})
    answer = {"folder": "out", "files": ["train.py"], "rows": {"train": 12, "val": 0}, "supervised_tokens": 1}
    text = export_text({**answer, "steps": 3, "cannot": [], "tool": "trl", "verified": found})
    assert "verified in trl 1.16.0: it differs" in text
    assert "theirs     0.500000" in text
    assert "apart on the same tokens; it computes in float32" in text


def test_an_interpreter_is_only_for_verifying(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["export", "r.yaml", "--to", "trl", "-o", "x", "--python", "p"]) == 2
    assert "add --verify" in capsys.readouterr().err


def test_nothing_is_written_when_the_tool_to_verify_with_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "out"
    assert cli(["export", "demo.yaml", "--to", "axolotl", "-o", str(out), "--verify"]) == 4
    assert "pip install axolotl==" in capsys.readouterr().err
    assert not out.exists()
