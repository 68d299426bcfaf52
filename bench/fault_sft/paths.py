"""Where everything lies: what is committed here, what can be made again under build/."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WORK = ROOT / "build" / "fault_sft"
BASES_DIR = WORK / "bases"
RUNS_DIR = WORK / "runs"
LOGS_DIR = HERE / "logs"
REFERENCES = HERE / "references.json"
DESCRIPTORS = HERE / "bases.json"
RESULTS_DIR = ROOT / "bench" / "results" / "doctor"
