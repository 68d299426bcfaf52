"""The peers' own environments: one venv each, made on demand from the pins in ``bench/environments``.

``python -m bench.peers trl llamafactory`` makes them ahead of time. A peer never brings a torch of its own: the same
torch as ours is installed first, and its pins after that without their dependencies.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = Path(__file__).resolve().parent / "environments"
ENVIRONMENTS = Path(__file__).resolve().parent / ".envs"
STAMP = ".installed"

EMPTY_MODULES = {"llamafactory": ("torchaudio",)}
"""Imported by a peer without being used for text, and without a build for a CPU-only torch."""


def peers() -> list[str]:
    """Names of the peers there are pins for."""
    return sorted(path.stem for path in PINS.glob("*.txt"))


def python_of(peer: str, environments: Path = ENVIRONMENTS, *, pins: Path | None = None, torch: bool = True) -> Path:
    """The interpreter of a peer's environment, which is made or made anew when its pins have changed.

    ``pins``: where they are, when not among the others. ``torch``: whether the peer needs one.
    Raises subprocess.CalledProcessError when pip cannot install it, with pip's own words on stderr.
    """
    pins = pins or PINS / f"{peer}.txt"
    folder = environments / peer
    python = folder / "bin" / "python"
    first = (torch_pin(),) if torch else ()
    wanted = hashlib.sha256(pins.read_bytes() + "".join(first).encode()).hexdigest()
    stamp = folder / STAMP
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"installing {peer} into {folder} (once)", file=sys.stderr, flush=True)
        _install(python, folder, pins, first, EMPTY_MODULES.get(peer, ()))
        stamp.write_text(wanted)
    return python


def torch_pin() -> str:
    """The torch everybody runs with, such as "torch==2.13.0": that of our own constraints."""
    found = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None, "constraints.txt pins no torch"
    return found.group()


def _install(python: Path, folder: Path, pins: Path, first: tuple[str, ...], empty_modules: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    for requirement in first:
        subprocess.run([*pip, requirement], check=True)
    subprocess.run([*pip, "--no-deps", "-r", pins], check=True)
    where: list[str | Path] = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    for name in empty_modules:
        (packages / f"{name}.py").touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", choices=peers(), default=peers())
    parser.add_argument("--envs", type=Path, default=ENVIRONMENTS, help="where the environments are kept")
    options = parser.parse_args()
    for peer in options.peers:
        print(python_of(peer, options.envs))


if __name__ == "__main__":
    main()
