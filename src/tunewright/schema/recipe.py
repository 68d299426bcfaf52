"""The recipe: every knob of one run, strict and frozen, under the names users know from Trainer and the guides."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Stage = Literal["sft", "pt"]
Method = Literal["lora", "qlora", "full"]
LossOn = Literal["assistant", "last_assistant", "completion", "all"]
Schedule = Literal[
    "constant", "linear", "cosine", "cosine_with_min_lr", "step", "wsd", "inverse_sqrt", "reduce_lr_on_plateau"
]
PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.5, 2
"""reduce_lr_on_plateau: torch's waits for 10 evaluations; a run here has about 10 in all, so it halves after 2."""

Optimizer = Literal["adamw", "adamw_8bit", "sgd"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tracker = Literal["tensorboard", "wandb", "trackio", "mlflow"]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

OTHER_WARMUP = MappingProxyType({"warmup_steps": "warmup_ratio", "warmup_ratio": "warmup_steps"})
"""The two ways to give a warm-up: setting one replaces the other."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def __json__(self) -> dict[str, Any]:
        """Its form in JSON documents (:func:`tunewright.schema.jsonio.plain`)."""
        return self.model_dump(mode="json")


class Mixed(_Strict):
    """One data source of a weighted mixture: each row of ``path`` is drawn ``weight`` times per epoch."""

    path: str
    weight: Positive = 1.0


class Replay(_Strict):
    """General rows mixed in against forgetting.

    ``data``: a file of rows, or "general": the base model's own answers to bundled prompts.
    ``share``: replay rows as a share of all training rows, below 1.
    """

    data: str = "general"
    share: Annotated[float, Field(gt=0, lt=1)]


class Reshuffle(_Strict):
    """From an epoch on (0: the first) the rows come in the orders of another seed; all else keeps the run's own."""

    from_epoch: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]


class Recipe(_Strict):
    """Every knob of one run. Unknown keys are refused; numbers are checked; a recipe never changes once made.

    >>> Recipe(model="tiny", data="rows.jsonl", learning_rate=1e-4).effective_batch_size
    8
    """

    model: str = Field(description="a Hub name, a folder, or a bundled model")
    stage: Stage = Field("sft", description="sft: answers to prompts; pt: raw text, every token")
    method: Method = Field("lora", description="lora: adapters; qlora: adapters on a 4-bit base; full: every weight")

    data: str | tuple[Mixed, ...] = Field(description="a file, a folder, hub:NAME, demo, or a list with weights")
    val: str | None = Field(None, description="validation file; without one, val_size of the data is held out")
    test: str | None = Field(None, description="sealed test file, looked at once at the very end")
    val_size: NonNegative = Field(0.1, description="below 1: a share of the rows; 1 or more: a number of rows; 0: none")
    template: str | None = Field(None, description="a Jinja chat template file; null: the tokenizer's own")
    loss_on: LossOn = Field("assistant", description="which tokens are trained on")
    max_length: Count | None = Field(None, description="tokens; null: the model's context or 2048, the smaller")
    packing: bool = Field(False, description="join rows to full length; always on for stage pt")

    per_device_train_batch_size: Count = Field(8, description="rows at once in a training step")
    per_device_eval_batch_size: Count = Field(16, description="rows at once in an evaluation; changes no result")
    gradient_accumulation_steps: Count = Field(1, description="batches summed into one optimizer step")
    num_train_epochs: Positive = Field(3.0, description="passes over the rows")
    max_steps: Count | None = Field(None, description="if given, rules over num_train_epochs")

    learning_rate: Positive = Field(2e-4, description="the peak, reached when the warm-up ends")
    lr_scheduler_type: Schedule = Field("cosine", description="how the learning rate falls after the warm-up")
    lr_floor: Share = Field(0.0, description="share of the peak kept at the end (cosine_with_min_lr)")
    lr_step_size: Count = Field(1000, description="steps between two drops (step)")
    lr_step_gamma: Annotated[float, Field(gt=0, le=1)] = Field(0.9, description="factor at each drop (step)")
    decay_share: Share = Field(0.2, description="last share of the run in which wsd decays")
    average_share: Share = Field(0.0, description="the mean of this last share of weights is measured and kept; 0: off")
    warmup_steps: Annotated[int, Field(ge=0)] | None = Field(None, description="steps in which the rate rises from 0")
    warmup_ratio: Share | None = Field(None, description="share of all steps; not together with warmup_steps")
    weight_decay: NonNegative = Field(0.0, description="share of each weight taken off per step, x learning rate")
    max_grad_norm: NonNegative = Field(1.0, description="0 turns clipping off")
    optim: Optimizer = Field("adamw", description="adamw_8bit needs bitsandbytes")
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="memory of the gradient's mean")
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = Field(0.999, description="memory of the gradient's square")

    lora_rank: Count = Field(16, description="width of the adapters: what they can hold")
    lora_alpha: Positive = Field(32.0, description="the adapters count alpha / rank times")
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of adapter inputs set to 0")
    lora_target: str | tuple[str, ...] = Field("all", description='"all" linear layers, or module names')
    modules_to_save: tuple[str, ...] = Field((), description="modules trained whole and kept with the adapter")
    init_adapter: str | None = Field(None, description="a PEFT adapter folder to continue from")

    precision: Precision = Field("auto", description="number format; auto: bf16 where the device has it")
    gradient_checkpointing: bool = Field(False, description="compute activations twice to save memory")
    logging_steps: Count = Field(1, description="a logged loss is the mean of so many steps")
    eval_steps: Count | None = Field(None, description="null: sized to the run")
    save_steps: Count | None = Field(None, description="null: at every evaluation")
    early_stopping_patience: Annotated[int, Field(ge=0)] = Field(0, description="evaluations without gain; 0: off")
    report_to: tuple[Tracker, ...] = Field(("tensorboard",), description="where else the numbers go")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="of data order, split and adapter")
    reshuffle: Reshuffle | None = Field(None, description="rows in another seed's orders: from_epoch (0: all) and seed")
    replay: Replay | None = Field(None, description="general rows mixed in against forgetting: data and share")

    @field_validator("data", "lora_target", "modules_to_save", "report_to", mode="before")
    @classmethod
    def _list_as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("num_train_epochs", "learning_rate", "weight_decay", "lora_alpha", "val_size", mode="before")
    @classmethod
    def _int_as_float(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _belongs_together(self) -> Recipe:
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise ValueError("warmup_steps and warmup_ratio are both set: choose one")
        if self.val is not None and self.val == self.data:
            raise ValueError("val is the same file as data: the validation loss would say nothing")
        return self

    @property
    def effective_batch_size(self) -> int:
        """Rows per optimizer step: per-device batch x accumulation (one device)."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def changed(self, **values: Any) -> Recipe:
        """A copy with some knobs changed, checked like a new one; a warm-up of one kind replaces the other kind."""
        for key, other in OTHER_WARMUP.items():
            if values.get(key) is not None:
                values.setdefault(other, None)
        return Recipe.model_validate({**self.model_dump(), **values})
