"""Errors, JSON and curves: the shapes every other part relies on."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.schema import errors, jsonio
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.prescription import Change

# --- errors ---------------------------------------------------------------------------------------------------

KINDS: list[tuple[type[errors.TunewrightError], type[Exception], int, str]] = [
    (errors.UsageError, ValueError, 2, "usage"),
    (errors.RecipeError, ValueError, 2, "recipe"),
    (errors.DataError, ValueError, 2, "data"),
    (errors.ModelError, ValueError, 2, "model"),
    (errors.RunFailed, RuntimeError, 3, "run_failed"),
    (errors.EnvironmentMissing, OSError, 4, "environment"),
    (errors.Interrupted, RuntimeError, 130, "interrupted"),
]


@pytest.mark.parametrize(("kind", "stdlib", "exit_code", "code"), KINDS)
def test_every_error_has_its_exit_code_and_is_a_stdlib_one_too(
    kind: type[errors.TunewrightError], stdlib: type[Exception], exit_code: int, code: str
) -> None:
    error = kind("what happened", hint="next command")
    assert isinstance(error, stdlib)
    assert (int(error.exit_code), error.code, error.hint, str(error)) == (
        exit_code,
        code,
        "next command",
        "what happened",
    )


@pytest.mark.parametrize("kind", [kind for kind, *_ in KINDS])
def test_an_error_survives_a_process_boundary(kind: type[errors.TunewrightError]) -> None:
    # concurrent.futures sends errors this way
    again = pickle.loads(pickle.dumps(kind("what", hint="how", code="own")))  # noqa: S301
    assert (type(again), again.message, again.hint, again.code) == (kind, "what", "how", "own")


def test_the_tree_is_whole() -> None:
    assert {kind for kind, *_ in KINDS} == set(errors.TunewrightError.__subclasses__())


def test_a_recipe_error_lists_all_its_faults() -> None:
    error = errors.RecipeError(["a is wrong", "b is missing"])
    assert error.faults == ("a is wrong", "b is missing")
    assert str(error) == "a is wrong; b is missing"


# --- JSON -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    loss: float
    where: Path
    _hidden: int = 3


def test_plain_knows_the_shapes_in_use() -> None:
    value = {1: Shape(math.inf, Path("a/b")), "array": np.array([1.0, np.nan]), "set": {4}, "scalar": np.float64(2.5)}
    assert jsonio.plain(value) == {
        "1": {"loss": "Infinity", "where": "a/b"},
        "array": [1.0, "NaN"],
        "set": [4],
        "scalar": 2.5,
    }


def test_a_change_without_a_known_recipe_has_a_factor_only() -> None:
    relative = jsonio.plain(Change("learning_rate", None, None, 0.5, "why", "rule", "source"))
    assert "to" not in relative
    assert relative["factor"] == 0.5
    known = jsonio.plain(Change("learning_rate", 1e-4, 5e-5, 0.5, "why", "rule", "source"))
    assert (known["from"], known["to"]) == (1e-4, 5e-5)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON form for object"):
        jsonio.plain(object())


def test_a_document_carries_its_version_and_ends_the_line() -> None:
    text = jsonio.document({"health": "healthy"})
    assert jsonio.loads(text) == {"schema_version": jsonio.SCHEMA_VERSION, "health": "healthy"}
    assert text.endswith(b"\n")


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
@settings(max_examples=200, deadline=None)
def test_everything_written_is_json_and_reads_back(value: Any) -> None:
    assert jsonio.loads(jsonio.dumps(value)) == jsonio.plain(value)


@given(st.floats())
def test_numbers_come_back_non_finite_ones_included(value: float) -> None:
    back = jsonio.number(jsonio.loads(jsonio.dumps(value)))
    assert back == value or (math.isnan(back) and math.isnan(value))


@pytest.mark.parametrize("text", ["", "Infinit", "high"])
def test_other_strings_are_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        jsonio.number(text)


# --- curves ---------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 50), st.floats()), max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_series_is_sorted_and_the_later_point_of_a_step_wins(points: list[tuple[int, float]]) -> None:
    series = Series.of(points)
    assert np.all(np.diff(series.steps) > 0)
    assert len(series) == len({step for step, _ in points})
    for step, value in dict(points).items():
        found = series.at(step)
        assert found is not None
        assert found == value or (math.isnan(found) and math.isnan(value))
    assert series.at(51) is None
    assert np.all(np.isfinite(series.finite().values))


def test_an_empty_series_answers_nothing() -> None:
    assert len(EMPTY) == 0
    assert EMPTY.at(0) is None
    assert len(EMPTY.finite()) == 0


def test_a_curve_knows_its_start_its_end_and_its_cadence() -> None:
    curve = Curve("csv", "x", Series.of([(10, 2.0), (20, 1.5), (30, 1.0)]), Series.of([(0, 3.0), (40, 1.2)]))
    assert (curve.base_eval_loss, curve.last_step, curve.logged_every) == (3.0, 40, 10)
    bare = Curve("csv", "x", EMPTY)
    assert (bare.base_eval_loss, bare.last_step, bare.logged_every) == (None, 0, 1)
