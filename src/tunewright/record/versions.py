"""Which versions made a result."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata

import tunewright


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of Tunewright, Python and these packages; one that is not installed is left out.

    >>> sorted(versions(["numpy", "no-such-package"]))
    ['numpy', 'python', 'tunewright']
    """
    found = {"tunewright": tunewright.__version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
