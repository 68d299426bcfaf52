"""The options of the command line, each described once; the verbs pick theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Data = Annotated[str, typer.Argument(help="a file, a folder, hub:NAME, or demo", show_default=False)]
DataOrRecipe = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the union from this form
    typer.Argument(help="a data file, a folder, hub:NAME, demo, or a recipe.yaml", show_default=False),
]
Model = Annotated[str, typer.Option("--model", help="a Hub name, a folder, or a bundled model", show_default=False)]
Validation = Annotated[str, typer.Option("--val", help="validation file; else rows are held out", show_default=False)]
Test = Annotated[str, typer.Option("--test", help="sealed test file, looked at once, at the end", show_default=False)]
Preset = Annotated[str, typer.Option("--preset", help="start from a named preset (tunewright plan lists them)")]
RecipeFile = Annotated[str, typer.Option("--recipe", help="a recipe or part of one, as YAML", show_default=False)]
Settings = Annotated[list[str], typer.Option("--set", help="key=value, any recipe key; repeatable")]
StageOption = Annotated[str, typer.Option("--stage", help="sft or pt", show_default=False)]
MethodOption = Annotated[str, typer.Option("--method", help="lora, qlora or full", show_default=False)]
Task = Annotated[str, typer.Option("--task", help="simple, regular or complex: the guide's rank and alpha")]
Vram = Annotated[float, typer.Option("--vram", help="plan for a GPU of so many GB", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", help="seed of data order, split and adapter", show_default=False)]
ReplayData = Annotated[
    str, typer.Option("--replay", help="mix in general rows: a file, or general", show_default=False)
]
RUNS = Path("runs")
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="where run folders are kept")]
Name = Annotated[str, typer.Option("--name", help="name of the run folder", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="print exactly one JSON document")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="say only what failed")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="no live line")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="plan and check, write nothing")]
ReportTo = Annotated[
    str, typer.Option("--report-to", help="tensorboard, wandb, trackio, mlflow, none; comma-separated")
]
