"""Names of data sources: a file, a folder with one data file, ``hub:NAME``, or the bundled ``demo``."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import orjson

from tunewright.data.formats import READERS
from tunewright.schema.errors import DataError, EnvironmentMissing

BUNDLED = Path(__file__).resolve().parent.parent / "bundled"
DEMO = "demo"
HUB = "hub:"


def open_source(name: str) -> Path:
    """The data file behind a name.

    ``demo``: the bundled training rows; ``hub:OWNER/NAME``: the train split of a data set on the Hub, fetched once
    into the cache; a folder: the only data file in it.
    Raises DataError when there is no such file, and EnvironmentMissing when the Hub cannot be reached.
    """
    if name == DEMO:
        return demo_files()["train"]
    if name.startswith(HUB):
        return _from_hub(name.removeprefix(HUB))
    try:
        path = Path(name).expanduser()
        return _only_file(path) if path.is_dir() else _existing(path)
    except (ValueError, RuntimeError, OSError) as error:  # a NUL byte, an unknown ~user, a name too long
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name[:200]!r} is no file name: {error}") from None


def demo_files() -> dict[str, Path]:
    """The parts of the bundled demo under their names: train, validation, suite; model: the folder of its base."""
    folder = BUNDLED / DEMO
    try:
        parts: dict[str, str] = orjson.loads((folder / "demo.json").read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{folder}: the bundled demo is missing", hint="pip install --force-reinstall tunewright"
        ) from None
    files = {part: folder / file for part, file in parts.items() if part != "model"}
    return files | {"model": BUNDLED / "models" / parts["model"]}


def _existing(path: Path) -> Path:
    if not path.exists():
        hint = f"a data set on the Hub is written {HUB}{path}" if path.suffix == "" else ""
        raise DataError(f"{path}: no such file", hint=hint)
    return path


def _only_file(folder: Path) -> Path:
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in READERS and not file.name.startswith(".")
    )
    if len(files) == 1:
        return files[0]
    found = ", ".join(file.name for file in files[:8]) or "none"
    raise DataError(f"{folder}: expected one data file in the folder, found {found}", hint="name the file itself")


def _from_hub(name: str) -> Path:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise DataError(f"{HUB}{name[:200]}: expected {HUB}OWNER/NAME")
    target = _cache() / f"{name.replace('/', '--')}.jsonl"
    if target.exists():
        return target
    try:
        import datasets
    except ImportError:
        raise EnvironmentMissing(f"{HUB}{name}: needs the datasets package", hint="pip install datasets") from None
    _check_reachable(name)
    try:
        rows = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, RuntimeError) as error:  # not found, offline, gated, no split named train
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EnvironmentMissing(f"{HUB}{name}: cannot be fetched: {reason}", hint="give a file instead") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    rows.to_json(temporary, force_ascii=False)
    temporary.replace(target)
    return target


def _check_reachable(name: str) -> None:
    """Raise EnvironmentMissing at once where the Hub's name is unknown: datasets would try for most of a minute.

    Behind a proxy names need not be known here, and with HF_HUB_OFFLINE set nothing is asked.
    """
    if os.environ.get("HF_HUB_OFFLINE") or getproxies():
        return
    host = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname or ""
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise EnvironmentMissing(
            f"{HUB}{name}: not on this machine, and {host} cannot be reached: {error.strerror}",
            hint="check the network, or give a file instead",
        ) from None


def _cache() -> Path:
    """Where fetched data sets are kept: under XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunewright" / "hub"
