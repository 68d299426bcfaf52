"""The most memory a run took."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch

GiB = 2**30


class PeakMemory:
    """Counts from its making, what is held already (weights, on a CPU the libraries too) included.

    On a GPU: torch's own allocations. On a CPU: the most the process held in memory; on systems other than Linux
    that is the most since the process began, because nothing there starts the count anew.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _give_free_memory_back()
            _count_anew()

    def peak_GiB(self) -> float:
        """The peak so far; 0.0 on systems that do not tell."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / GiB
        return _peak_resident_bytes() / GiB


def _give_free_memory_back() -> None:
    """Let the C library return what was freed, else it counts as held by whoever comes next."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


def _count_anew() -> None:
    """Set the kernel's record of the most memory this process held back to what it holds now (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # no such record here: the peak since the process began is all there is
        return


def _peak_resident_bytes() -> int:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("VmHWM:")), "")
    except OSError:
        line = ""
    return int(line.split()[1]) * 1024 if line else _resource_peak_bytes()


def _resource_peak_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
