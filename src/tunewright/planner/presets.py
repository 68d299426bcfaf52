"""The seven presets as data. Numbers are the guides' own; sections say where each stands."""

from __future__ import annotations

from tunewright.planner import choosers as take
from tunewright.planner.guide_ranges import SEVEN_PROJECTIONS
from tunewright.planner.preset import Preset, PresetValue, Span
from tunewright.planner.sources import MASTERING, TRAINING_PROCESS, UNDERSTANDING
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe_io import nearest

_BATCH_OF_ONE = "batch 1 x accumulation 8 = effective 8: fits small GPUs"

_CHEAT = "parameter cheat sheet"
GUIDE_SMALL = Preset(
    "guide-small",
    "small sets of 500-1,000 rows",
    UNDERSTANDING,
    (
        PresetValue("per_device_train_batch_size", 1, _BATCH_OF_ONE + "; adjust for your GPU", _CHEAT),
        PresetValue("gradient_accumulation_steps", 8, _BATCH_OF_ONE, _CHEAT),
        PresetValue("num_train_epochs", Span(5, 8, take.epochs_for_views), "more for smaller sets", _CHEAT),
        PresetValue("learning_rate", Span(5e-5, 1e-4, take.lower_end), "start conservative", _CHEAT),
        PresetValue("lr_scheduler_type", "cosine", "smooth learning curve", _CHEAT),
    ),
    rows=(500, 1000),
)

_RUN_3 = "the correct settings for run 3"
GUIDE_TCCC = Preset(
    "guide-tccc",
    "the corrected third run of the guide's example (825 rows, expected final loss 0.2-0.4)",
    UNDERSTANDING,
    (
        PresetValue("stage", "sft", "supervised fine-tuning on questions and answers", _RUN_3),
        PresetValue("per_device_train_batch_size", 1, _BATCH_OF_ONE, _RUN_3),
        PresetValue("gradient_accumulation_steps", 8, _BATCH_OF_ONE, _RUN_3),
        PresetValue("warmup_steps", 10, "ten steps of warm-up", _RUN_3),
        PresetValue("num_train_epochs", 7.0, "raised from 5 because the data grew from 625 to 825 rows", _RUN_3),
        PresetValue("learning_rate", 1e-4, "raised from 8e-5 to learn faster", _RUN_3),
        PresetValue("logging_steps", 1, "every step is logged", _RUN_3),
        PresetValue("optim", "adamw_8bit", "AdamW with 8-bit moments saves memory", _RUN_3),
        PresetValue("weight_decay", 0.01, "the guide's value", _RUN_3),
        PresetValue("lr_scheduler_type", "cosine", "the guide's value", _RUN_3),
        PresetValue("seed", 3407, "the guide's value", _RUN_3),
        PresetValue("loss_on", "assistant", "assistant_only_loss: train only on the completions", _RUN_3),
        PresetValue("max_length", Span(2048, 2048, take.fixed_length), "max_seq_length", _RUN_3),
    ),
)

_QUICK = "quick start with Unsloth"
QUICKSTART_QLORA = Preset(
    "quickstart-qlora",
    "the QLoRA quick start: 4-bit base, rank 16, alpha 32, three epochs",
    TRAINING_PROCESS,
    (
        PresetValue("stage", "sft", "the quick start uses SFTTrainer", _QUICK),
        PresetValue("method", "qlora", "load_in_4bit: the base is held in 4 bits", _QUICK),
        PresetValue("lora_rank", 16, "r", _QUICK),
        PresetValue("lora_alpha", 32.0, "alpha = 2 x rank", _QUICK),
        PresetValue("lora_target", SEVEN_PROJECTIONS, "the seven projections, attention and MLP", _QUICK),
        PresetValue("lora_dropout", 0.05, "the guide's value", _QUICK),
        PresetValue("per_device_train_batch_size", 4, "batch 4 x accumulation 4 = effective 16", _QUICK),
        PresetValue("gradient_accumulation_steps", 4, "batch 4 x accumulation 4 = effective 16", _QUICK),
        PresetValue("num_train_epochs", 3.0, "1-3 epochs are usually enough", _QUICK),
        PresetValue("learning_rate", 2e-4, "Unsloth's default for QLoRA", _QUICK),
        PresetValue("warmup_steps", 10, "10-100 steps or 3-10 % of all", _QUICK),
        PresetValue("max_length", Span(2048, 2048, take.fixed_length), "max_seq_length", _QUICK),
        PresetValue("precision", "fp16", "fp16=True", _QUICK),
        PresetValue("logging_steps", 10, "a point every ten steps", _QUICK),
        PresetValue("save_steps", 100, "a checkpoint every hundred steps", _QUICK),
    ),
)

GUIDE_PT = Preset(
    "guide-pt",
    "incremental pre-training on raw text: new knowledge, old abilities kept",
    MASTERING,
    (
        PresetValue("stage", "pt", "incremental pre-training reads raw text", "4.1"),
        PresetValue("lora_rank", Span(8, 16, take.whole_lower_end), "moderate rank", "4.1"),
        PresetValue("lora_alpha", Span(8.0, 16.0, take.alpha_one_to_one), "alpha as large as the rank", "4.1"),
        PresetValue("learning_rate", Span(5e-5, 1e-4, take.lower_end), "a small learning rate", "4.1"),
        PresetValue("num_train_epochs", Span(1, 2, take.fewer_epochs_for_more_rows), "few, to avoid forgetting", "4.1"),
        PresetValue("warmup_ratio", Span(0.05, 0.1, take.short_warmup), "short warm-up", "4.1"),
        PresetValue("max_length", Span(2048, 4096, take.shortest_blocks), "cutoff_len: longer context", "4.1"),
    ),
)

GUIDE_SFT = Preset(
    "guide-sft",
    "instruction fine-tuning: a dialogue or task format",
    MASTERING,
    (
        PresetValue("stage", "sft", "instruction fine-tuning", "4.2"),
        PresetValue("lora_rank", Span(8, 32, take.usual_rank), "adjust to the task's complexity", "4.2"),
        PresetValue("lora_alpha", Span(8.0, 32.0, take.usual_alpha), "keep 1:1 or 2:1", "4.2"),
        PresetValue("learning_rate", Span(1e-4, 2e-4, take.lower_end), "a larger learning rate is safe here", "4.2"),
        PresetValue("num_train_epochs", Span(2, 5, take.fewer_epochs_for_more_rows), "based on the data's size", "4.2"),
        PresetValue(
            "warmup_ratio", Span(0.1, 0.2, take.where_guides_meet), "a longer warm-up to adapt to the format", "4.2"
        ),
        PresetValue(
            "max_length", Span(1024, 2048, take.shortest_that_cuts_nothing), "cutoff_len: match the instructions", "4.2"
        ),
    ),
)

_COMPENSATED = "batch 1 x accumulation 16 = effective 16: accumulation makes up for the small batch"
GUIDE_LOW_MEMORY = Preset(
    "guide-low-memory",
    "GPUs below 12 GB",
    MASTERING,
    (
        PresetValue("lora_rank", 4, "a small adapter", "4.4"),
        PresetValue("lora_alpha", 8.0, "2:1 to rank 4: the memory-tight row, rank 2-4 and alpha 4-8", "3.2"),
        PresetValue("per_device_train_batch_size", 1, _COMPENSATED, "4.4"),
        PresetValue("gradient_accumulation_steps", 16, _COMPENSATED, "4.4"),
        PresetValue("max_length", Span(1024, 1024, take.fixed_length), "cutoff_len: shorter sequences", "4.4"),
    ),
)

GUIDE_MAX = Preset(
    "guide-max",
    "best quality where cost does not count",
    MASTERING,
    (
        PresetValue("lora_rank", Span(32, 64, take.whole_upper_end), "much capacity", "4.5"),
        PresetValue("lora_alpha", Span(32.0, 64.0, take.upper_end), "as large as the rank", "4.5"),
        PresetValue("learning_rate", 2e-4, "the upper end; sweep around it", "4.5"),
        PresetValue("num_train_epochs", Span(3, 5, take.fewer_epochs_for_more_rows), "several passes", "4.5"),
        PresetValue("lr_scheduler_type", "cosine", "the guide's value", "4.5"),
        PresetValue("warmup_ratio", 0.1, "the guide's value", "4.5"),
    ),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        GUIDE_SFT,
        GUIDE_PT,
        GUIDE_SMALL,
        GUIDE_TCCC,
        GUIDE_LOW_MEMORY,
        GUIDE_MAX,
        QUICKSTART_QLORA,
    )
}


def find_preset(name: str) -> Preset:
    """The preset of that name. Raises UsageError that lists the names, and the nearest one.

    >>> find_preset("guide-tccc")["num_train_epochs"].value
    7.0
    """
    if name in PRESETS:
        return PRESETS[name]
    guess = nearest(name, PRESETS)
    meant = f", did you mean {guess!r}?" if guess else ""
    raise UsageError(f"no preset {name!r}{meant}; expected one of: {', '.join(PRESETS)}", hint="tunewright plan --help")
