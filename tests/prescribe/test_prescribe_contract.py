"""What holds for every rule, and for every recipe a prescription is applied to."""

from __future__ import annotations

import copy
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prescribe_cases import GUIDE_CONFIG, SYMPTOMS, case, curve, falling, turning

from tunewright.doctor.diagnose import diagnose
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import all_rules, apply, prescribe, recipe_changes, resolve
from tunewright.prescribe.rule import FAMILIES, direction, is_step
from tunewright.schema.curve import Curve, Series
from tunewright.schema.prescription import Change, Prescription
from tunewright.schema.probe import ProbeAnswer
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import KEYS


def all_cases():
    for config in (GUIDE_CONFIG, {}, {**GUIDE_CONFIG, "lr_scheduler_type": "constant", "learning_rate": 3e-3}):
        for loss in (0.1, 0.4, 0.8, 2.0):
            for symptom in SYMPTOMS:
                for made in (None, curve(falling), curve(turning)):
                    yield case(symptom, loss=loss, config=config, made=made)
    big_batch = {**GUIDE_CONFIG, "per_device_train_batch_size": 8, "num_train_epochs": 8.0}
    yield case(config=big_batch, out_of_memory=True)
    yield case("no_learning", config={**GUIDE_CONFIG, "weight_decay": 300.0})
    yield case("no_learning", probes=(ProbeAnswer("sanity", "Can it learn?", "fault", "No", {"rate": None}),))


ALL_CASES = list(all_cases())


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_every_rule_is_named_sourced_pure_and_gives_valid_changes(rule):
    assert re.fullmatch(r"(guide|evidence)\.[a-z_]+", rule.name)
    assert rule.family in FAMILIES
    assert re.search(r"\((?:[^()]*\b(19|20)\d\d\b[^()]*|undated)\)", rule.source), rule.source
    assert rule.says
    assert rule.generalises
    spoke = 0
    for asked in ALL_CASES:
        before = copy.deepcopy(dict(asked.config))
        proposals = rule.propose(asked)
        assert proposals == rule.propose(asked)
        assert dict(asked.config) == before
        for proposal in proposals:
            spoke += 1
            assert proposal.says
            assert proposal.keep or proposal.changes
            for change in proposal.changes:
                assert change.key in KEYS
                assert change.rule == rule.name
                assert change.source == rule.source
                assert change.why
                assert change.after != change.before or is_step(change) or change.after is None
            apply(RECIPE, Prescription(False, proposal.changes))
    assert spoke, f"{rule.name} never spoke"


def test_rule_names_are_unique():
    names = [rule.name for rule in all_rules()]
    assert len(names) == len(set(names))


RECIPE = Recipe(model="tiny", data="rows.jsonl", warmup_ratio=0.1)


@pytest.mark.parametrize("policy", ["evidence", "guide"])
def test_no_prescription_pulls_a_key_twice_or_two_ways(policy):
    for asked in ALL_CASES:
        resolution = resolve(asked, policy)
        prescription = resolution.prescription
        valued = [change.key for change in prescription.changes if not is_step(change)]
        assert len(valued) == len(set(valued))
        durations = {direction(c) for c in prescription.changes if c.key in {"num_train_epochs", "max_steps"}}
        assert durations in (set(), {1}, {-1})
        assert prescription.why
        assert not (prescription.keep and prescription.changes)
        assert sum(option.recommended for option in resolution.options) == (1 if prescription.changes else 0)


@st.composite
def recipes(draw):
    positive = st.floats(1e-7, 1.0)
    values = {
        "learning_rate": draw(positive),
        "num_train_epochs": draw(st.floats(0.1, 200)),
        "max_steps": draw(st.none() | st.integers(1, 10_000)),
        "per_device_train_batch_size": draw(st.integers(1, 64)),
        "gradient_accumulation_steps": draw(st.integers(1, 64)),
        "lora_rank": draw(st.integers(1, 256)),
        "lora_alpha": draw(st.floats(0.5, 512)),
        "lora_dropout": draw(st.floats(0, 0.9)),
        "val_size": draw(st.floats(0, 0.9) | st.integers(1, 500)),
        "max_grad_norm": draw(st.floats(0, 5)),
        "method": draw(st.sampled_from(["lora", "qlora", "full"])),
        "early_stopping_patience": draw(st.integers(0, 20)),
        "replay": draw(st.none() | st.builds(lambda share: {"share": share}, st.floats(0.01, 0.9))),
    }
    kind = draw(st.sampled_from(["none", "steps", "ratio"]))
    if kind == "steps":
        values["warmup_steps"] = draw(st.integers(0, 500))
    if kind == "ratio":
        values["warmup_ratio"] = draw(st.floats(0, 1))
    return Recipe(model="tiny", data="rows.jsonl", **values)


@settings(max_examples=150, deadline=None)
@given(
    recipe=recipes(),
    symptoms=st.lists(st.sampled_from(SYMPTOMS), max_size=4, unique=True),
    loss=st.none() | st.floats(0, 12),
    policy=st.sampled_from(["evidence", "guide"]),
    known=st.booleans(),
    made=st.sampled_from([None, curve(falling), curve(turning), curve(falling, epochs=3)]),
    out_of_memory=st.booleans(),
)
def test_apply_always_gives_a_valid_recipe(recipe, symptoms, loss, policy, known, made, out_of_memory):
    config = recipe.model_dump() if known else {}
    asked = case(*symptoms, loss=loss, config=config, made=made, out_of_memory=out_of_memory)
    prescription = prescribe(asked, policy)
    after = apply(recipe, prescription)
    assert Recipe.model_validate(after.model_dump()) == after
    if prescription.keep:
        assert after == recipe
    changed = set(recipe_changes(recipe, after))
    named = {change.key for change in prescription.changes}
    warm, long = {"warmup_steps", "warmup_ratio"}, {"num_train_epochs", "max_steps"}
    assert changed <= named | (warm if named & warm else set()) | (long if named & long else set())
    # what was known is what is set
    for change in prescription.changes:
        if known and change.after is not None and change.key != "replay":
            assert getattr(after, change.key) == change.after
    # the effective batch survives a memory fault
    if out_of_memory and known and "per_device_train_batch_size" in named:
        assert after.effective_batch_size == recipe.effective_batch_size


def test_keep_changes_nothing_even_with_changes_beside():
    change = Change("learning_rate", 1e-4, 5e-5, 0.5, "", "", "")
    assert apply(RECIPE, Prescription(True, (change,))) == RECIPE


def test_factors_scale_the_recipes_own_value_and_kind():
    steps = Recipe(model="tiny", data="rows.jsonl", warmup_steps=10, max_steps=50)
    changes = (
        Change("warmup_ratio", None, None, 2.0, "", "", ""),
        Change("num_train_epochs", None, None, 1.5, "", "", ""),
        Change("data", None, None, None, "", "", ""),
    )
    after = apply(steps, Prescription(False, changes))
    assert recipe_changes(steps, after) == {"max_steps": (50, 75), "warmup_steps": (10, 20)}


def test_a_ratio_takes_the_place_of_warm_up_steps():
    steps = Recipe(model="tiny", data="rows.jsonl", warmup_steps=400)
    change = Change("warmup_ratio", None, 0.05, None, "", "", "")
    after = apply(steps, Prescription(False, (change,)))
    assert (after.warmup_steps, after.warmup_ratio) == (None, 0.05)


def test_reading_a_case_loads_neither_pydantic_nor_torch():
    code = (
        "import sys, tunewright.prescribe.prescribe, tunewright.prescribe.table_next;"
        "sys.exit(bool({'pydantic', 'torch', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=60, deadline=None)
@given(losses=st.lists(st.floats(0.05, 8.0), min_size=1, max_size=40), jump=st.integers(0, 39))
def test_a_log_of_evaluations_alone_gets_an_answer(losses: list[float], jump: int) -> None:
    losses[jump % len(losses)] *= 3.0
    evals = Series(np.arange(len(losses)) * 10, np.array(losses))
    alone = Curve("csv", "", Series(np.array([], dtype=np.int64), np.array([])), eval_loss=evals)
    for policy in ("evidence", "guide"):
        assert prescribe(Case(diagnosis=diagnose(alone), curve=alone, config={}), policy).why
