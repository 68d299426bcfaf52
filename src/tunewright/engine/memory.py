"""The most memory a run took."""

from __future__ import annotations

import os
import sys

import torch

GiB = 2**30


class PeakMemory:
    """Counts from its making. On a GPU: torch's own allocations; on a CPU: growth of the process's resident memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._resident_bytes = _resident_bytes()

    def peak_GiB(self) -> float:
        """The peak so far; 0.0 on systems that do not tell."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / GiB
        return max(0, _peak_resident_bytes() - self._resident_bytes) / GiB


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc here: count from the peak so far instead
        return _peak_resident_bytes()


def _peak_resident_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
