"""The recipe: every knob of one run, strict and frozen, under the names users know from Trainer and the guides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Stage = Literal["sft", "pt"]
Method = Literal["lora", "qlora", "full"]
LossOn = Literal["assistant", "last_assistant", "completion", "all"]
Schedule = Literal[
    "constant", "linear", "cosine", "cosine_with_min_lr", "step", "wsd", "inverse_sqrt", "reduce_lr_on_plateau"
]
Optimizer = Literal["adamw", "adamw_8bit", "sgd"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tracker = Literal["tensorboard", "wandb", "trackio", "mlflow"]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


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


class Recipe(_Strict):
    """Every knob of one run. Unknown keys are refused; numbers are checked; a recipe never changes once made.

    >>> Recipe(model="tiny", data="rows.jsonl", learning_rate=1e-4).effective_batch_size
    8
    """

    model: str
    stage: Stage = "sft"
    method: Method = "lora"

    data: str | tuple[Mixed, ...]
    val: str | None = Field(None, description="validation file; without one, val_size of the data is held out")
    test: str | None = Field(None, description="sealed test file, looked at once at the very end")
    val_size: NonNegative = Field(0.1, description="below 1: a share of the rows; 1 or more: a number of rows; 0: none")
    template: str | None = Field(None, description="a Jinja chat template file; null: the tokenizer's own")
    loss_on: LossOn = Field("assistant", description="which tokens are trained on")
    max_length: Count | None = Field(None, description="tokens; null: the model's context or 2048, the smaller")
    packing: bool = Field(False, description="join rows to full length; always on for stage pt")

    per_device_train_batch_size: Count = 8
    per_device_eval_batch_size: Count = 16
    gradient_accumulation_steps: Count = 1
    num_train_epochs: Positive = 3.0
    max_steps: Count | None = Field(None, description="if given, rules over num_train_epochs")

    learning_rate: Positive = 2e-4
    lr_scheduler_type: Schedule = "cosine"
    lr_floor: Share = Field(0.0, description="share of the peak kept at the end (cosine_with_min_lr)")
    lr_step_size: Count = Field(1000, description="steps between two drops (step)")
    lr_step_gamma: Annotated[float, Field(gt=0, le=1)] = Field(0.9, description="factor at each drop (step)")
    decay_share: Share = Field(0.2, description="last share of the run in which wsd decays")
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    warmup_ratio: Share | None = Field(None, description="share of all steps; not together with warmup_steps")
    weight_decay: NonNegative = 0.0
    max_grad_norm: NonNegative = Field(1.0, description="0 turns clipping off")
    optim: Optimizer = "adamw"
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999

    lora_rank: Count = 16
    lora_alpha: Positive = 32.0
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    lora_target: str | tuple[str, ...] = Field("all", description='"all" linear layers, or module names')
    modules_to_save: tuple[str, ...] = ()
    init_adapter: str | None = Field(None, description="a PEFT adapter folder to continue from")

    precision: Precision = "auto"
    gradient_checkpointing: bool = False
    logging_steps: Count = 1
    eval_steps: Count | None = Field(None, description="null: sized to the run")
    save_steps: Count | None = Field(None, description="null: at every evaluation")
    early_stopping_patience: Annotated[int, Field(ge=0)] = Field(0, description="evaluations without gain; 0: off")
    report_to: tuple[Tracker, ...] = ("tensorboard",)
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    replay: Replay | None = None

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
        if values.get("warmup_steps") is not None:
            values.setdefault("warmup_ratio", None)
        if values.get("warmup_ratio") is not None:
            values.setdefault("warmup_steps", None)
        return Recipe.model_validate({**self.model_dump(), **values})
