"""The four probes of next --probe: what each finds on a run that has the fault, and that it leaves no trace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests_support import random_llama

from tunewright.data.faults import make_fault
from tunewright.data.tokens import TokenRow
from tunewright.doctor.detectors.base import found
from tunewright.engine.base import Base, load_base
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job
from tunewright.probes.conditional_gain import Gain
from tunewright.probes.lr_probe import judge_rates, probe_rates
from tunewright.probes.sanity_run import probe_sanity
from tunewright.probes.scheduler_check import probe_schedule
from tunewright.probes.short_runs import ShortRun
from tunewright.probes.template_check import check_masks, template_answer
from tunewright.schema.curve import EMPTY, Series
from tunewright.schema.errors import Interrupted
from tunewright.schema.finding import Abstention, Finding
from tunewright.schema.recipe import Recipe

GOOD_RATE = 5e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(random_llama(tmp_path_factory.mktemp("models") / "llama"))


@pytest.fixture(scope="module")
def knowing(folder: str, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A base that has learnt to answer with the tokens one and two higher."""
    made = load_base(folder, method="full")
    asked = recipe(method="full", learning_rate=3e-3, num_train_epochs=20.0, per_device_train_batch_size=16)
    run_job(made, Job(recipe=asked, train=rows(200), val=rows(20)))
    place = tmp_path_factory.mktemp("models") / "knowing"
    made.model.save_pretrained(place)
    made.tokenizer.save_pretrained(place)
    return load_base(str(place))


@pytest.fixture(scope="module")
def base(knowing: Base) -> Base:
    return knowing


def rows(count: int = 40, higher: int = 1) -> list[TokenRow]:
    """Prompts of three tokens, answered by the tokens ``higher`` and one more: there is something to learn."""
    random = np.random.Generator(np.random.PCG64(3))
    made = []
    for number in range(1, count + 1):
        prompt = random.integers(10, 30, size=3).astype(np.int32)
        ids = np.concatenate([prompt, prompt + higher, prompt + higher + 1])
        made.append(TokenRow(number, ids, np.arange(9) >= 3))
    return made


def other_rows(count: int = 40) -> list[TokenRow]:
    """What the base has not learnt."""
    return rows(count, higher=40)


def recipe(**values: Any) -> Recipe:
    usual: dict[str, Any] = {"model": "m", "data": "d", "learning_rate": GOOD_RATE, "report_to": (), "lora_rank": 4}
    return Recipe(**(usual | values))


def weights(base: Base) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in base.model.state_dict().items()}


# --- learning rate ---------------------------------------------------------------------------------------------------


def test_a_rate_too_low_is_found_and_the_least_that_will_do_is_named(base: Base) -> None:
    before = weights(base)
    rows = other_rows()
    answer = probe_rates(base, recipe(learning_rate=GOOD_RATE / 50), rows, rows[:20], "too low", steps=15)
    assert answer.verdict == "fault"
    assert answer.evidence["factor"] in (5.0, 10.0)
    assert answer.evidence["fell"]["x1"] < answer.evidence["fell"]["x10"]
    assert "Yes" in answer.answer
    assert answer.tokens > 0
    assert all(torch.equal(value, before[name]) for name, value in base.model.state_dict().items())


def test_a_sound_rate_is_not_called_too_low(base: Base) -> None:
    answer = probe_rates(base, recipe(), other_rows(), other_rows()[:20], "too low", steps=15)
    assert (answer.verdict, answer.evidence["factor"]) == ("fine", 1.0)


def test_a_rate_suspected_to_be_high_is_compared_with_lower_ones(base: Base) -> None:
    answer = probe_rates(base, recipe(), other_rows(), other_rows()[:20], "too high", steps=15)
    assert list(answer.evidence["fell"]) == ["x1", "x1/3", "x1/10"]
    assert answer.verdict == "fine"


def test_weights_trained_in_full_are_put_back_after_each_rate(folder: str) -> None:
    full = load_base(folder, method="full")
    before = weights(full)
    answer = probe_rates(full, recipe(method="full", learning_rate=1e-3), rows(), rows()[:10], "too low", steps=4)
    assert len(answer.evidence["fell"]) == 3
    assert all(torch.equal(value, before[name]) for name, value in full.model.state_dict().items())


@pytest.mark.parametrize(
    ("fell", "factor", "verdict"),
    [
        ({1.0: 0.0, 5.0: 0.3, 10.0: 0.31}, 5.0, "fault"),
        ({1.0: 0.0, 5.0: 0.1, 10.0: 0.4}, 10.0, "fault"),
        ({1.0: 0.2, 5.0: 0.4, 10.0: -math.inf}, 1.0, "fine"),
        ({1.0: 0.0, 5.0: 0.0, 10.0: 0.01}, 1.0, "fine"),
        ({1.0: -math.inf, 1 / 3: -0.2, 0.1: 0.1}, 0.1, "fault"),
        ({1.0: -math.inf, 1 / 3: 0.2, 0.1: 0.1}, 1 / 3, "fault"),
        ({1.0: -math.inf, 1 / 3: -math.inf, 0.1: -math.inf}, 1.0, "fine"),
    ],
)
def test_rates_are_judged_by_what_they_bring_beside_the_runs_own(
    fell: dict[float, float], factor: float, verdict: str
) -> None:
    assert judge_rates(fell) == (factor, verdict)


def test_a_short_run_without_a_number_at_its_end_fell_by_nothing() -> None:
    assert ShortRun(2.0, math.nan, 0).fell == -math.inf
    assert ShortRun(2.0, 1.0, 0).fell == 0.5


def test_ctrl_c_ends_a_probe(base: Base) -> None:
    with pytest.raises(Interrupted):
        probe_rates(base, recipe(), rows(), rows()[:10], "too low", steps=5, should_stop=lambda: True)


# --- sanity ----------------------------------------------------------------------------------------------------------


def test_a_sound_set_up_learns_a_few_rows(base: Base) -> None:
    said: list[str] = []
    answer = probe_sanity(base, recipe(), other_rows(), on_progress=lambda what, done, total: said.append(what))
    assert (answer.verdict, answer.evidence["rate"]) == ("fine", GOOD_RATE)
    assert said


def test_rows_that_only_the_planned_rate_learns_name_it(base: Base) -> None:
    answer = probe_sanity(base, recipe(learning_rate=1e-7), other_rows(), GOOD_RATE)
    assert (answer.verdict, answer.evidence["rate"]) == ("fault", GOOD_RATE)


def test_a_set_up_that_learns_nothing_is_a_fault(base: Base) -> None:
    answer = probe_sanity(base, recipe(learning_rate=1e-9), other_rows())
    assert (answer.verdict, answer.evidence["rate"]) == ("fault", None)
    assert "trainable" in answer.answer


# --- schedule --------------------------------------------------------------------------------------------------------


def logged(asked: Recipe, total: int, *, factor: float = 1.0) -> Series:
    from tunewright.engine.schedule import LRSchedule

    schedule = LRSchedule.of(asked, total)
    return Series.of((step + 1, asked.learning_rate * factor * schedule.multiplier(step)) for step in range(total))


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine", "wsd"])
@pytest.mark.parametrize("total", [20, 200])
def test_ordinary_schedules_are_fine_with_and_without_a_log(kind: Any, total: int) -> None:
    asked = recipe(lr_scheduler_type=kind, warmup_ratio=0.1)
    for series in (EMPTY, logged(asked, total)):
        assert probe_schedule(asked, total, series).verdict == "fine"


def test_a_warm_up_of_most_of_the_run_is_found() -> None:
    answer = probe_schedule(recipe(warmup_ratio=0.8), 100, EMPTY)
    assert (answer.verdict, answer.evidence["shorter_warmup"]) == ("fault", True)


def test_a_rate_that_was_not_the_recipes_is_found() -> None:
    asked = recipe(warmup_ratio=0.05)
    answer = probe_schedule(asked, 100, logged(asked, 100, factor=0.5))
    assert (answer.verdict, answer.evidence["shorter_warmup"]) == ("fault", False)
    assert "away from what the recipe says" in answer.answer


def test_a_rate_that_is_gone_long_before_the_end_is_found() -> None:
    answer = probe_schedule(recipe(lr_scheduler_type="step", lr_step_size=10, lr_step_gamma=0.01), 100, EMPTY)
    assert answer.verdict == "fault"


# --- template and mapping --------------------------------------------------------------------------------------------


def unrelated() -> Finding:
    return found("labels_unrelated", (0, 0), "answers are as likely behind other rows' prompts", {"gain": 0.0}, ())


@pytest.mark.parametrize(
    ("gain", "findings", "verdict", "says"),
    [
        (Gain(0.5, 0.1, 2.0, 64), (), "fine", "0.500 nats per token (0.304 to 0.696, 64 rows)"),
        (Gain(0.01, 0.1, 2.0, 64), (), "unclear", "few different answers"),
        (Gain(0.01, 0.1, 2.0, 64), (unrelated(),), "fault", "labels unrelated"),
        (None, (), "unclear", "few different answers"),
    ],
)
def test_what_the_base_says_of_the_rows_is_one_answer(gain: Any, findings: Any, verdict: str, says: str) -> None:
    answer = template_answer(gain, findings, (Abstention("labels_unrelated", "few different answers"),))
    assert answer.verdict == verdict
    assert says in answer.answer


def test_a_fault_of_the_masks_is_named_before_anything_is_asked() -> None:
    (fault,) = make_fault("no_supervised_token", {3: "no answer", 7: "no answer"})
    answer = check_masks((fault,))
    assert answer is not None
    assert (answer.verdict, answer.tokens) == ("fault", 0)
    assert answer.evidence == {"faults": ["no_supervised_token"], "rows": [[3, 7]]}
    assert check_masks(make_fault("duplicate", {3: "twice"})) is None
