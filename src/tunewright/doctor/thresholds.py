"""Every number a verdict depends on: its value, where it comes from, and how often it may be wrong.

"False alarm" is the intended share of healthy runs on which the rule alone would fire. "FAULT study" stands for
the measurements behind this table: 19 kinds of synthetic fine-tuning curves (20-50 seeds each), 27 public logs
and 30 real runs with an injected fault (2026).
"""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.schema.sources import G3, PRECHELT


@dataclass(frozen=True)
class Threshold:
    """``value`` in ``unit``; ``source``; ``false_alarm``: intended rate per healthy run (None: not a test)."""

    value: float
    unit: str
    source: str
    false_alarm: float | None = None


_STUDY = "FAULT study (2026)"

# How much log there must be
FEWEST_LOSSES = Threshold(10, "training points", f"{_STUDY}: below this no window statistic holds")
FEWEST_LEVELS = Threshold(6, "training points", "two levels of three points each, told apart only with their errors")
FEWEST_RATES = Threshold(4, "points", "logged learning rates have no noise")
FEWEST_EVALS = Threshold(4, "evaluations", f"{_STUDY}")
NOISIEST = Threshold(0.25, "log units", f"{_STUDY}: relative noise of one point above which levels are not comparable")
DETECTABLE_Z = Threshold(3.0, "standard errors", "minimal detectable change = 3 standard errors of the difference")

# Non-finite
ROUNDED_ZERO = Threshold(2e-3, "nats", "older Trainers print 4 decimals: a loss below this may print as 0.0", 0.0)
FEWEST_ZEROS = Threshold(2, "points", "transformers 5.23.0 trainer.py: a hidden NaN prints exactly 0.0 at every log")
MASKED_SHARE = Threshold(0.9, "share of points", f"{_STUDY}: signatures measured with transformers 5.23.0", 0.0)
ISOLATED_ZEROS = Threshold(0.02, "share of points", f"{_STUDY}", 0.0)
BROKEN_END = Threshold(2, "points", "gradients that are not finite to the end: a scaler's skips come back", 0.0)
SKIPPED_STEPS = Threshold(0.5, "share of steps", "GradScaler skips a few early fp16 steps in every healthy run", 0.0)

# Worse than the start
WORSE_EVAL = Threshold(0.05, "relative", f"{_STUDY}: healthy runs end below the untouched model", 0.001)
WORSE_TRAIN = Threshold(0.10, "relative", f"{_STUDY}", 0.001)
WORSE_Z = Threshold(4.0, "standard errors", "one-sided normal tail 3e-5, one test a run", 0.001)
UNIFORM_OUTPUT = Threshold(0.02, "nats", "loss of a uniform guess is the logarithm of the vocabulary size")

# Divergence
DIVERGED = Threshold(0.20, "relative", f"{_STUDY}; Google tuning playbook: a rising training loss is a fault", 0.001)
DIVERGED_Z = Threshold(6.0, "standard errors", f"{_STUDY}: minimum over blocks and heavy tails allowed for", 0.001)
DIVERGED_LOST = Threshold(0.2, "share of progress", "near zero loss relative changes mean nothing", None)
DIVERGED_CROSSINGS = Threshold(3, "crossings", f"{_STUDY}: more is oscillation")
BLOWN_UP = Threshold(1.5, "times the untouched model", "LR finders stop at 4 times the best (fastai, Lightning)", 0.0)
BLOWN_UP_GAIN = Threshold(0.10, "relative", f"{_STUDY}: with more gained in the end, the jump did no harm", None)

# Spikes
SPIKE_Z = Threshold(7.0, "noise scales", "OLMo 2 (arXiv 2501.00656): 7 SD; causal maximum on 27 public logs 6.3", 0.01)
SPIKE_FACTOR = Threshold(1.3, "times", f"{_STUDY}: relative floor", 0.01)
SPIKE_WINDOW = Threshold(50, "points", f"{_STUDY}: causal window")
SPIKE_ALONE = Threshold(
    1.6, "times", "a single point above both its neighbours, where a log has too few for a window", 0.005
)
SPIKE_SHARE = Threshold(0.04, "share of points", "more is the spread of the batches, not an event")
SPIKE_STAYS = Threshold(0.10, "relative", "level after against level before", 0.001)
SPIKE_BLIND = Threshold(5, "steps", f"{_STUDY}: a mean over k steps divides a lone spike by k")

# Oscillation
SLOW_ETA = Threshold(1.0, "von Neumann ratio", f"{_STUDY}: 2 is white noise; 0 of 250 healthy curves below 1", 0.004)
SLOW_AMPLITUDE = Threshold(0.10, "log units", f"{_STUDY}", 0.004)
SLOW_EFFICIENCY = Threshold(0.6, "net / total movement", f"{_STUDY}", 0.004)
SMALL_LOSS = Threshold(0.05, "nats", f"{_STUDY}: relative noise below this is no instability")
SWING = Threshold(0.10, "log units", "one swing of the validation loss: same rows, so not sampling noise", 0.001)
SWINGS = Threshold(
    3, "swings up", "Understanding Key Hyperparameters When Fine-Tuning an LLM (2025-01): fluctuates wildly"
)
HUMP = Threshold(0.20, "relative", "one rise of the validation loss that comes back", 0.001)
HUMP_UNSEEN = Threshold(
    0.50, "relative", "the same of the training loss alone, which the order of data moves too", 0.001
)
HUMP_Z = Threshold(2.0, "standard errors", "the hump itself enters the noise of few evaluations", 0.002)

# Not learning
LEARNED = Threshold(0.05, "relative", f"{_STUDY}: the upper bound of the improvement must stay below", 0.002)
LEARNED_EVAL = Threshold(
    0.01, "relative", f"{_STUDY}: weakest healthy run -3 %, frozen or starved runs above -1.2 %", 0.002
)
LEARNED_SE = Threshold(0.04, "log units", f"{_STUDY}: a larger error decides nothing")
FEWEST_STEPS = Threshold(100, "steps", "with no plan known, a shorter log may be only the beginning")
START_STEPS = Threshold(10, "steps", "the first window must end before most of the learning is over")
CONSTANT_EVAL = Threshold(1e-6, "relative", f"{_STUDY}: lr / 100 still moves the fourth decimal", 0.0)
PLATEAU_T90 = Threshold(0.4, "share of the run", f"{_STUDY}", None)
PLATEAU_Z = Threshold(2.0, "standard errors", f"{_STUDY}", None)

# Under- and overfitting
UNDERFIT_DROP = Threshold(0.015, "relative", "fall of validation loss over the last third", None)
UNDERFIT_GAIN = Threshold(0.02, "relative", "LoRA Without Regret (2025): loss is nearly linear in log steps", None)
UNDERFIT_STARVED_GAIN = Threshold(0.005, "relative", "a starved run gains more from learning rate than from time", None)
STARVED = Threshold(0.4, "times", "descent per learning rate, late / early: 1 is a straight line", None)
UNDERFIT_TRAIN_DROP = Threshold(0.03, "relative", f"{_STUDY}: 80-86 % of starved curves, 0-4 % of healthy ones", 0.04)
UNDERFIT_TRAIN_SHARE = Threshold(0.35, "share of the fall", f"{_STUDY}", 0.04)
OVERFIT_RISE = Threshold(0.03, "relative", f"{PRECHELT}: GL; its lower bound must pass", 0.005)
MANY_EVALS = Threshold(10, "evaluations", "the lowest of 10 normal values lies 1.5 standard deviations low", None)
LEAST_NATS = Threshold(0.01, "nats", "a rise below this is nothing in a model's answers, whatever its share", 0.001)
OVERFIT_CLEAR = Threshold(0.10, "relative", PRECHELT, 0.001)
OVERFIT_RISES = Threshold(2, "successive rises", f"{PRECHELT}: UP2", 0.005)
EVAL_NOISE_KNOWN = Threshold(0.003, "log units", "floor of the noise of one evaluation (same rows every time)")
EVAL_NOISE_UNKNOWN = Threshold(0.01, "log units", "assumed with fewer than 5 evaluations")
EVAL_NOISE_TWO_RISES = Threshold(0.03, "log units", "assumed where only two evaluations rise after the lowest one")
MEMORISED_STEP = Threshold(0.15, "relative", "Can LLMs learn from a single example? (fast.ai, 2023)", None)
MEMORISED_Z = Threshold(4.0, "standard errors", f"{_STUDY}", None)
APART_NEAR = Threshold(0.015, "relative", "validation this near its lowest has stopped falling", None)
APART_EVALS = Threshold(3, "evaluations", "after validation stopped falling", None)
APART_FALL = Threshold(0.33, "relative", "fall of the training loss since validation was lowest", None)
APART_Z = Threshold(6.0, "standard errors", f"{_STUDY}", None)
APART_RATIO = Threshold(2.0, "validation / training", f"{_STUDY}", None)
GAP_RATIO = Threshold(1.3, "times", f"{_STUDY}", None)
SCALE_RATIO = Threshold(
    0.45,
    "times",
    "2024 Trainers summed the loss over accumulation: 1/2, 1/4, ...; 548 published runs at 0.89 to 1.02",
    0.001,
)
SCALE_POINTS = Threshold(3, "points", "a median of fewer is one batch")
SCALE_SPREAD = Threshold(0.1, "relative", f"{_STUDY}", 0.001)

# Data seen in the curve
EPOCH_SLACK = Threshold(0.02, "share of an epoch", "evaluations at the end of an epoch fall on its last step", None)
SHIFT_TRAIN_FALL = Threshold(0.10, "relative", "a smaller fall of the training loss is too little to follow", 0.001)
SHIFT_Z = Threshold(6.0, "standard errors", f"{_STUDY}", 0.001)
SHIFT_SHARE = Threshold(0.25, "share of the training loss's fall", f"{_STUDY}: shifted 0, alike 0.8-1.1", 0.001)
SHIFT_RATIO = Threshold(
    1.5,
    "validation / training",
    "548 published runs: 95 % of them below 1.02 after one epoch (tinker-cookbook sweep)",
    0.001,
)
NOISY_RATIO = Threshold(
    0.8,
    "validation / training",
    "548 published runs: 5 % to 95 % of them at 0.89 to 1.02 (tinker-cookbook sweep)",
    0.002,
)
NOISY_AWAY = Threshold(1.25, "times", "that the ratio moved since step 0; harder rows are harder from the start", 0.002)
NOISY_EVALS = Threshold(3, "evaluations", f"{_STUDY}")
HEAVY_DROPOUT = Threshold(0.3, "dropout", "raises the training loss and not the validation loss")

# Schedule
ZERO_LR = Threshold(0.01, "share of the peak", f"{_STUDY}: cosine is below this for 6 % of a run, linear for 1 %", 0.0)
ZERO_TAIL = Threshold(0.15, "share of the run", f"{_STUDY}", 0.0)
LATE_PEAK = Threshold(0.4, "share of the run", f"{_STUDY}", 0.0)
SOONEST_PEAK = Threshold(2, "steps", "a warm-up of one step, the shortest there is, peaks at the second", 0.0)
JUMP_AFTER = Threshold(0.8, "share of the peak", "a learning rate above this has not come down yet", 0.0)
JUMP_FACTOR = Threshold(
    1.5, "times the lowest since the peak", "no decaying schedule rises; a lost one starts over", 0.0
)
RESTART_LOW = Threshold(0.05, "share of the peak", "cosine with restarts ends each cycle at 0", 0.0)
RESTART_HIGH = Threshold(0.9, "share of the peak", "and begins the next one at the peak", 0.0)

# Forgetting; a prefix
FORGETTING_NATS = Threshold(0.1, "nats per token", f"{_STUDY}: below 0.05 none, above 0.2 skills are lost", 0.01)
WHOLE_RUN = Threshold(0.98, "share of the planned steps", "Trainers round the number of steps differently")

# The guides' checklist
GUIDE_GAP = Threshold(0.5, "nats", f"{G3}, 1.2")
FLATTENED = Threshold(0.6, "share of the fall", "in the first half of the run; a straight line has 0.5")
FLAT = Threshold(0.02, "relative", "change over the last fifth of the run that still counts as a plateau")
