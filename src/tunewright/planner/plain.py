"""Values that hardly depend on the data: each still with its reason, and the guides' word beside it."""

from __future__ import annotations

from tunewright.planner.draft import Draft
from tunewright.planner.guide_ranges import guides_on
from tunewright.planner.sources import (
    ADAM,
    ADAMW,
    FIXED_DURATIONS,
    KEY_HYPERPARAMETERS,
    MASTERING,
    TRAINING_PROCESS,
    TUNEWRIGHT,
    UNDERSTANDING,
)
from tunewright.planner.words import counted, figure, sentence
from tunewright.schema.plan import PlannedValue

USUAL_MAX_LENGTH = 2048


def stage(draft: Draft) -> PlannedValue:
    found = draft.facts.data.stage
    kind = "raw text, learned whole" if found == "pt" else "questions with answers"
    return PlannedValue("stage", found, f"The rows are {kind}.", TUNEWRIGHT)


def val(draft: Draft) -> PlannedValue:
    rows = draft.facts.data.val_rows
    why = f"None given: {counted(rows, 'row')} of the data {'is' if rows == 1 else 'are'} held out instead."
    return PlannedValue("val", None, why, TUNEWRIGHT)


def test(draft: Draft) -> PlannedValue:
    return PlannedValue("test", None, "None given: no sealed test is looked at.", TUNEWRIGHT)


def val_size(draft: Draft) -> PlannedValue:
    if draft["val"] is not None:
        why = f"Not used: {draft['val']} is the validation file."
    else:
        rows = counted(draft.facts.data.val_rows, "row")
        why = f"A tenth held out, {rows}; the same seed always holds out the same."
    return PlannedValue("val_size", 0.1, sentence(why, guides_on("val_size", 0.1)), MASTERING)


def template(draft: Draft) -> PlannedValue:
    return PlannedValue("template", None, "None: the tokenizer's own chat template.", TUNEWRIGHT)


def loss_on(draft: Draft) -> PlannedValue:
    if draft["stage"] == "pt":
        return PlannedValue("loss_on", "all", "Raw text: every token is a target.", MASTERING)
    why = sentence("Only what the model should say is trained on.", guides_on("loss_on", "assistant"))
    return PlannedValue("loss_on", "assistant", why, UNDERSTANDING)


def max_length(draft: Draft) -> PlannedValue:
    """min(model's context, 2048).

    Not lowered to the longest training row: batches are padded to their own longest row, so a lower limit saves
    nothing, and it would cut a longer validation or replay row.
    """
    longest, context = draft.facts.data.length_max, draft.facts.model.context
    value = min(context, USUAL_MAX_LENGTH)
    nothing_cut = 0 < longest <= value and draft["stage"] != "pt"
    why = sentence(
        f"The smaller of the model's context ({context:,}) and {USUAL_MAX_LENGTH:,} tokens.",
        f"The longest training row has {longest:,}, so nothing is cut, and short rows cost no more." * nothing_cut,
        guides_on("max_length", value, stage=draft["stage"]),
    )
    return PlannedValue("max_length", value, why, TUNEWRIGHT)


def packing(draft: Draft) -> PlannedValue:
    if draft["stage"] == "pt":
        return PlannedValue("packing", True, "Raw text is always joined to full blocks.", MASTERING)
    why = "Off: rows stay whole and apart; batches of like length waste little padding."
    return PlannedValue("packing", False, why, TUNEWRIGHT)


def average_share(draft: Draft) -> PlannedValue:
    why = (
        "Off: a learning rate that falls to zero settles the weights. Under one that is held, 0.3 keeps the mean of "
        "the last 30 % of steps, which does the same."
    )
    return PlannedValue("average_share", 0.0, why, FIXED_DURATIONS)


def lr_floor(draft: Draft) -> PlannedValue:
    return PlannedValue("lr_floor", 0.0, "Used by cosine_with_min_lr only; 0 decays to zero.", TUNEWRIGHT)


def lr_step_size(draft: Draft) -> PlannedValue:
    return PlannedValue("lr_step_size", 1000, "Used by the schedule step only: every 1,000 steps.", f"{MASTERING}, 3.1")


def lr_step_gamma(draft: Draft) -> PlannedValue:
    return PlannedValue("lr_step_gamma", 0.9, "Used by the schedule step only: x 0.9 each time.", f"{MASTERING}, 3.1")


def weight_decay(draft: Draft) -> PlannedValue:
    rate = draft["learning_rate"]
    why = sentence(
        f"0: AdamW would shrink the weights by learning rate x decay a step, {figure(rate * 0.01)} at 0.01, "
        "next to nothing over a short run.",
        guides_on("weight_decay", 0.0),
    )
    return PlannedValue("weight_decay", 0.0, why, ADAMW)


def max_grad_norm(draft: Draft) -> PlannedValue:
    return PlannedValue("max_grad_norm", 1.0, "Clipped at 1: one odd batch cannot throw the weights far.", TUNEWRIGHT)


def optim(draft: Draft) -> PlannedValue:
    if draft.get("method") == "full":
        said = "Plain AdamW: two moments for every weight, 8 bytes each pair."
    else:
        said = "Plain AdamW: an adapter is so small that 8-bit moments would save next to nothing."
    return PlannedValue("optim", "adamw", sentence(said, guides_on("optim", "adamw")), ADAMW)


def adam_beta1(draft: Draft) -> PlannedValue:
    return PlannedValue("adam_beta1", 0.9, "The usual value; no source asks for another.", ADAM)


def adam_beta2(draft: Draft) -> PlannedValue:
    why = "0.999, the usual value: it averages over about 1,000 steps, steady at small batches."
    return PlannedValue("adam_beta2", 0.999, why, ADAM)


def logging_steps(draft: Draft) -> PlannedValue:
    why = sentence("Every step: a mean over N steps hides spikes N times their size.", guides_on("logging_steps", 1))
    return PlannedValue("logging_steps", 1, why, UNDERSTANDING)


def report_to(draft: Draft) -> PlannedValue:
    why = "TensorBoard event files, as two of the guides advise; W&B, Trackio and MLflow by name."
    return PlannedValue("report_to", ("tensorboard",), why, f"{TRAINING_PROCESS}; {KEY_HYPERPARAMETERS}")


def seed(draft: Draft) -> PlannedValue:
    why = sentence("Any fixed number: the same seed gives the same run.", guides_on("seed", 0))
    return PlannedValue("seed", 0, why, TUNEWRIGHT)


def reshuffle(draft: Draft) -> PlannedValue:
    why = "None: rows come in the orders of the seed. tune makes a run's last part again in other orders."
    return PlannedValue("reshuffle", None, why, TUNEWRIGHT)


def replay(draft: Draft) -> PlannedValue:
    why = (
        "None to begin with: tune adds general rows when forgetting exceeds 0.1 nats per token. "
        "Mixing general data in is what the guide advises against forgetting."
    )
    return PlannedValue("replay", None, why, TRAINING_PROCESS)
