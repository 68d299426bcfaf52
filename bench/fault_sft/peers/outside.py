"""Peers from the package index, each in an environment of its own under bench/.envs, asked in one process for all runs.

python -m bench.fault_sft.peers.outside        makes the environments (a minute; they are small)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from bench.fault_sft.families import Reading
from bench.fault_sft.paths import ROOT
from bench.fault_sft.record import Record
from bench.fault_sft.relog import View, trainer_state

PEERS: dict[str, str] = {
    "runmedic": "runmedic==0.1.1",
    "training-doctor": "training-doctor==0.1.0",
    "trainlens": "trainlens==0.20.0",
    "sk-autod": "sk-autod==0.1.1",
}
ENVS = ROOT / "bench" / ".envs"
ADAPTERS = Path(__file__).parent


class PeerMissingError(RuntimeError):
    """The peer's environment is not there and could not be made."""


def python_of(name: str) -> Path:
    """The peer's interpreter; its environment is made when it is not there. Raises PeerMissingError."""
    python = ENVS / name / "bin" / "python"
    if (ENVS / name / ".installed").exists():
        return python
    venv.create(ENVS / name, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", PEERS[name]]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerMissingError(f"{name}: pip could not install {PEERS[name]}: {done.stderr.strip().splitlines()[-1:]}")
    (ENVS / name / ".installed").touch()
    return python


def read_outside(name: str, records: Sequence[Record], view: View) -> list[Reading]:
    """The peer's readings, in the order of ``records``. Raises PeerMissingError."""
    python = python_of(name)
    adapter = ADAPTERS / f"ask_{name.replace('-', '_')}.py"
    with tempfile.TemporaryDirectory() as folder:
        for number, record in enumerate(records):
            place = Path(folder) / f"{number:05d}"
            place.mkdir()
            (place / "trainer_state.json").write_text(json.dumps(trainer_state(record, view)))
        done = subprocess.run(
            [str(python), str(adapter), folder], capture_output=True, text=True, check=False, cwd=ADAPTERS
        )
    if done.returncode:
        raise PeerMissingError(f"{name}: its adapter failed: {done.stderr.strip().splitlines()[-1:]}")
    return [Reading.from_json(json.loads(line)) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    for peer in PEERS:
        print(peer, python_of(peer), file=sys.stderr)
