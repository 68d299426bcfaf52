"""Data sets as recipes name them: files, splits, mixtures, and where the names lead."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright.data import sources
from tunewright.data.dataset import facts, load_dataset
from tunewright.data.encode import encode_rows
from tunewright.data.sources import demo_files, open_source
from tunewright.schema.errors import DataError, EnvironmentMissing
from tunewright.schema.recipe import Recipe

Make = Callable[..., Any]


def pairs(count: int, word: str = "question") -> list[dict[str, str]]:
    return [{"prompt": f"{word} {number}?", "completion": f"Answer {number}."} for number in range(count)]


def test_rows_are_held_out_of_the_data(write: Make) -> None:
    data = load_dataset({"data": str(write(pairs(50))), "val_size": 0.2, "seed": 1})
    assert (len(data.train), len(data.val), data.test) == (40, 10, ())
    assert (data.held_out, data.format, data.shape) == (True, "jsonl", "prompt/completion")
    assert [row.number for row in data.file_rows] == list(range(1, 51))
    again = load_dataset({"data": str(write(pairs(50))), "val_size": 0.2, "seed": 1})
    assert (again.val, again.sha256) == (data.val, data.sha256)


def test_a_whole_recipe_will_do(write: Make) -> None:
    recipe = Recipe(model="tiny", data=str(write(pairs(10))), val=str(write(pairs(3, "other"), "val.jsonl")))
    data = load_dataset(recipe.model_dump())
    assert (len(data.train), len(data.val), data.held_out) == (10, 3, False)


def test_no_validation_rows_when_none_are_wanted(write: Make) -> None:
    assert load_dataset({"data": str(write(pairs(5))), "val_size": 0}).val == ()
    assert len(load_dataset({"data": str(write(pairs(2))), "val_size": 0.1}).val) == 1


def test_parts_that_are_the_same_file(write: Make, tmp_path: Path) -> None:
    path = write(pairs(5))
    copied = tmp_path / "copy.jsonl"
    copied.write_bytes(path.read_bytes())
    (tmp_path / "link.jsonl").symlink_to(path)
    for other in (path, copied, tmp_path / "link.jsonl", tmp_path / "." / "rows.jsonl"):
        with pytest.raises(DataError, match="val is the same file as data"):
            load_dataset({"data": str(path), "val": str(other)})
    with pytest.raises(DataError, match="test is the same file as val"):
        load_dataset({"data": str(write(pairs(9), "x.jsonl")), "val": str(path), "test": str(copied)})


def test_a_mixture_numbers_on_and_repeats_by_weight(write: Make) -> None:
    first = write([*pairs(3), "broken"], "first.jsonl")
    second = write([7, *pairs(4, "other")], "second.jsonl")
    mixture = [{"path": str(first), "weight": 2}, {"path": str(second), "weight": 0.5}]
    data = load_dataset({"data": mixture, "val_size": 0})
    numbers = [row.number for row in data.train]
    assert numbers[:6] == [1, 1, 2, 2, 3, 3]
    assert len(numbers) == 8
    assert set(numbers[6:]) < {6, 7, 8, 9}
    assert [row.number for row in data.file_rows] == [1, 2, 3, 6, 7, 8, 9]
    assert [(fault.fault, fault.rows) for fault in data.faults] == [("broken_row", (4, 5))]
    recipe = Recipe.model_validate({"model": "tiny", "data": mixture, "val_size": 0})
    assert load_dataset(recipe.model_dump()).train == data.train
    assert load_dataset({"data": recipe.data, "val_size": 0}).sha256 == data.sha256


def test_facts_for_a_plan(write: Make, make_tokenizer: Make) -> None:
    data = load_dataset({"data": str(write([*pairs(20), *pairs(1)])), "val_size": 4})
    train, val = (encode_rows(rows, make_tokenizer(), max_length=64) for rows in (data.train, data.val))
    found = facts(data, train, val, max_length=64)
    assert (found.rows, found.val_rows) == (len(data.train), len(data.val))
    assert found.distinct_prompts == len({row.key for row in data.train})
    assert found.tokens == sum(len(row.ids) for row in train.rows)
    assert 0 < found.supervised_tokens < found.tokens
    assert found.length_max == max(train.lengths) <= 64
    empty = encode_rows([], make_tokenizer(), max_length=64)
    assert facts(data, empty, max_length=64).length_max == 0


def test_a_folder_with_one_data_file(write: Make, tmp_path: Path) -> None:
    path = write(pairs(1))
    (tmp_path / "README.md").write_text("about")
    assert open_source(str(tmp_path)) == path
    write(pairs(1), "second.jsonl")
    with pytest.raises(DataError, match=r"found rows\.jsonl, second\.jsonl"):
        open_source(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found none"):
        open_source(str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["no/such/file.jsonl", "a\x00b", "~nobody-has-this-name/x", "x" * 5000, "hub:../../x"])
def test_names_that_lead_nowhere(name: str) -> None:
    with pytest.raises(DataError):
        open_source(name)


def test_the_demo_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BUNDLED", tmp_path)
    with pytest.raises(DataError, match="demo is missing"):
        open_source("demo")
    (tmp_path / "demo").mkdir()
    parts = {"model": "tiny", "train": "train.jsonl", "validation": "valid.jsonl", "suite": "suite.jsonl"}
    (tmp_path / "demo" / "demo.json").write_text(json.dumps(parts))
    assert open_source("demo") == tmp_path / "demo" / "train.jsonl"
    assert demo_files()["model"] == tmp_path / "models" / "tiny"
    assert demo_files()["validation"].name == "valid.jsonl"


class FakeHub:
    """Stands for the datasets package: the network is not there in tests."""

    def __init__(self, path: Path, records: list[dict[str, str]] | None) -> None:
        self.path, self.records, self.asked = path, records, 0

    def load_dataset(self, name: str, split: str) -> FakeHub:
        self.asked += 1
        if self.records is None:
            raise ConnectionError(f"Couldn't reach {name} on the Hub\nand more")
        assert split == "train"
        return self

    def to_json(self, path: Path, force_ascii: bool) -> None:
        assert not force_ascii
        path.write_text("".join(json.dumps(record) + "\n" for record in self.records or []))


def test_a_data_set_of_the_hub_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = FakeHub(tmp_path, pairs(3))
    monkeypatch.setitem(sys.modules, "datasets", hub)
    assert len(load_dataset({"data": "hub:someone/rows", "val_size": 0}).train) == 3
    assert open_source("hub:someone/rows").is_relative_to(tmp_path)
    assert hub.asked == 1
    hub.records = None
    with pytest.raises(EnvironmentMissing, match=r"Couldn't reach other/rows on the Hub$"):
        open_source("hub:other/rows")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(EnvironmentMissing) as caught:
        open_source("hub:other/rows")
    assert caught.value.hint == "pip install datasets"


def test_without_a_network_the_hub_is_given_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HF_HUB_OFFLINE",
        "HF_ENDPOINT",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "datasets", FakeHub(tmp_path, pairs(3)))

    def unknown(host: str, port: int) -> None:
        raise OSError(-2, f"{host} is unknown")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(EnvironmentMissing, match=r"huggingface.co cannot be reached: huggingface.co is unknown"):
        open_source("hub:someone/rows")
