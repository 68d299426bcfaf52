"""Several bases on one set of rows: the same ranking as full fine-tuning gives, mistakes in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests_support import random_model

import tunewright as tw
from tunewright.app.licence import licence_of
from tunewright.cli.main import run as command
from tunewright.data.model_folder import resolve_model
from tunewright.data.sources import demo_files

SECOND = Path(__file__).parents[1] / "assets" / "second_world" / "model"


def rows(folder: Path, count: int = 120) -> str:
    lines = demo_files()["train"].read_text().splitlines()
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines[:: max(1, len(lines) // count)][:count]) + "\n")
    return str(path)


def half_blank(folder: Path) -> Path:
    """The bundled base with the upper half of its layers drawn anew: of the same shape and tokenizer, knowing less."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunewright.engine.base import quiet

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(resolve_model("tiny"))
    generator = torch.Generator().manual_seed(3)
    layers = model.model.layers
    with torch.no_grad():
        for layer in layers[len(layers) // 2 :]:
            for parameter in layer.parameters():
                if parameter.dim() > 1:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    with quiet():
        model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve_model("tiny")).save_pretrained(folder)
    return folder


def test_candidates_beside_each_other(tmp_path: Path, capsysbinary: Any) -> None:
    random_model(tmp_path / "plain", "llama", chat_template=None)
    (tmp_path / "plain" / "README.md").write_text("---\nlicense: other\nlicense_name: toy-licence\n---\n# A model\n")
    models = f"tiny,{tmp_path / 'plain'}"
    before = sorted(tmp_path.rglob("*"))
    data = rows(tmp_path)
    assert command(["bakeoff", data, "--models", models, "--json", "--no-progress"]) == 0
    answer = json.loads(capsysbinary.readouterr().out)
    assert [one["model"] for one in answer["models"]] == models.split(",")
    for one in answer["models"]:
        assert 0 < one["bits_per_byte"] < 20
        assert one["tokens_per_s"] > 0
        assert one["peak_GiB"] > 0
        assert one["exam"]["n"] == answer["questions"] > 0
        assert one["tuned"] is None
    plain = answer["models"][1]
    assert (plain["licence"], plain["chat_template"], plain["architecture"]) == ("toy-licence", False, "llama")
    assert answer["recommended"] in models.split(",")
    assert answer["margin"]["low"] <= answer["margin"]["bits_per_byte"] <= answer["margin"]["high"]
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "rows.jsonl"])  # nothing is written
    assert command(["bakeoff", data, "--models", models, "--quiet"]) == 0
    shown = capsysbinary.readouterr().out.decode()
    assert "bits per byte" in shown
    assert "recommended: " in shown


@pytest.mark.slow
def test_a_short_tuning_ranks_bases_as_their_full_fine_tuning_does(tmp_path: Path) -> None:
    """The bundled base, the same with half of it lost, and one of another architecture that knows nothing."""
    half = half_blank(tmp_path / "half")
    blank = random_model(tmp_path / "blank", "qwen3")
    data, names = rows(tmp_path, 160), ["tiny", str(half), str(blank)]
    answer = tw.bakeoff(data, models=names, tune=True, runs_dir=tmp_path / "runs", val_size=0.25)
    tuned = {one["model"]: one["tuned"] for one in answer["models"]}
    tokens = [one["tokens"] for one in tuned.values()]
    assert max(tokens) < 1.1 * min(tokens)
    full = {name: full_tuning(data, name, tmp_path) for name in names}
    assert sorted(names, key=lambda name: tuned[name]["bits_per_byte"]) == sorted(names, key=full.__getitem__)
    assert answer["recommended"] == min(names, key=full.__getitem__)
    assert answer["margin"]["clear"]


def full_tuning(data: str, model: str, folder: Path) -> float:
    """Bits per byte of the held-out answers after all weights were tuned, the better of two learning rates."""
    from tunewright.data.dataset import load_dataset
    from tunewright.engine.base import load_base
    from tunewright.examiner.bits import answer_bits, answer_bytes, answer_rows

    held = load_dataset({"data": data, "val_size": 0.25, "seed": 0}).val
    sizes = answer_bytes(held)
    found = []
    for rate in (5e-4, 2e-3):
        run = tw.train(
            data, model=model, method="full", val_size=0.25, num_train_epochs=10, learning_rate=rate,
            runs_dir=folder / "full", report_to=(),
        )  # fmt: skip
        base = load_base(run["adapter"])
        bits = answer_bits(base.model, answer_rows(held, base.tokenizer, 256)).bits
        found.append(sum(bits.values()) / sum(sizes[number] for number in bits))
    return min(found)


def suite(text: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "suite.jsonl").write_text(text)
        return ["--models", f"tiny,{SECOND}", "--suite", str(folder / "suite.jsonl")]

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: ["--models", "tiny"], "two or more different models"),
        (lambda folder: ["--models", "tiny, tiny ,"], "two or more different models"),
        (lambda folder: [], "two or more different models"),
        (lambda folder: ["--models", "tiny,./nowhere"], "no such model folder"),
        (lambda folder: ["--models", f"tiny,{folder}"], "no config.json"),
        (lambda folder: ["--models", f"tiny,{SECOND}", "--set", "lerning_rate=1"], "learning_rate"),
        (suite('{"question": "Who?", "regex": "(", "part": "exact"}\n'), "not a regular expression"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], list[str]], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    data = rows(tmp_path)
    flags = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert command(["bakeoff", data, *flags]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line for line in shown.err.splitlines() if line.startswith("error:") and said in line]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_licence_is_what_the_card_says(tmp_path: Path) -> None:
    assert licence_of(tmp_path) is None
    card = tmp_path / "README.md"
    for text, found in {
        "---\nlicense: apache-2.0\ntags: []\n---\n": "apache-2.0",
        "---\nlanguage: en\nlicense: 'mit'  # yes\n---\nlicense: gpl": "mit",
        "# no head\nlicense: mit\n": None,
        "---\ntags: [license]\n---\n": None,
    }.items():
        card.write_text(text)
        assert licence_of(tmp_path) == found
