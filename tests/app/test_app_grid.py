"""Grids as typed: the same values as --set reads, and a clear word for those that cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.app.grid import check_grid, grid_settings, parse_grid
from tunewright.schema.errors import RecipeError, TunewrightError, UsageError
from tunewright.schema.recipe_io import parse_settings


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("learning_rate=1e-4,3e-4,1e-3", [1e-4, 3e-4, 1e-3]),
        ("lora_target=q_proj+v_proj,all", [["q_proj", "v_proj"], "all"]),
        ("lora_target=[q_proj, v_proj],all", [["q_proj", "v_proj"], "all"]),
        ("replay=null,{data: general, share: 0.25}", [None, {"data": "general", "share": 0.25}]),
        ("data='a,b.jsonl',c.jsonl", ["a,b.jsonl", "c.jsonl"]),
        ("gradient_checkpointing=true,false", [True, False]),
        (" seed = 0 , 1 ", [0, 1]),
        ("method=lora,full", ["lora", "full"]),
    ],
)
def test_values_are_read_as_set_reads_them(text: str, values: list[Any]) -> None:
    (grid,) = parse_grid([text]).values()
    assert grid == values
    for value, part in zip(values[:1], text.partition("=")[2].split(",")[:1], strict=True):
        if not isinstance(value, (dict, list)) and "'" not in part:
            assert parse_settings([f"{text.partition('=')[0].strip()}={part}"]) == dict.fromkeys(
                [text.partition("=")[0].strip()], value
            )


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["learning_rate"], "key=v1,v2"),
        (["learning_rate="], "between the commas"),
        (["learning_rate=1e-4,,1e-3"], "between the commas"),
        (["lerning_rate=1e-4"], "learning_rate"),
        (["seed=0", "seed=1"], "twice"),
        (["replay={share: 0.25"], "YAML"),
    ],
)
def test_what_is_no_list_of_values_is_refused(texts: list[str], names: str) -> None:
    with pytest.raises(TunewrightError) as refused:
        parse_grid(texts)
    assert names in str(refused.value)


@pytest.mark.parametrize(
    ("grid", "settings", "names"),
    [
        ({}, {}, "values to try"),
        ({"learning_rate": []}, {}, "no values"),
        ({"learning_rate": [1e-3, 0.001]}, {}, "twice"),
        ({"learning_rate": [1e-3]}, {"learning_rate": 2e-3}, "choose one"),
        ({"warmup_steps": [0], "warmup_ratio": [0.1]}, {}, "choose one"),
        ({"seed": list(range(100)), "lora_rank": list(range(1, 100))}, {}, "9,900 cells"),
    ],
)
def test_grids_that_contradict_themselves_are_refused(
    grid: dict[str, list[Any]], settings: dict[str, Any], names: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check_grid(grid, settings)
    assert names in str(refused.value)


def test_an_unknown_key_has_its_nearest_name() -> None:
    with pytest.raises(RecipeError, match="num_train_epochs"):
        check_grid({"num_epochs": [1, 2]}, {})


def test_the_product_runs_through_the_last_key_first() -> None:
    cells = grid_settings({"learning_rate": [1e-4, 1e-3], "seed": [0, 1, 2]})
    assert len(cells) == 6
    assert [cell["seed"] for cell in cells] == [0, 1, 2, 0, 1, 2]
    assert [cell["learning_rate"] for cell in cells] == [1e-4] * 3 + [1e-3] * 3
