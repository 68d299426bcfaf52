"""What this machine has, found without torch and in milliseconds: nvidia-smi for a GPU, the system for memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from tunewright.schema.facts import MachineFacts

GIB = 2**30
FIRST_BF16_CAPABILITY = 8.0
"""CUDA compute capability from which bf16 is native (Ampere)."""
ASK_TIMEOUT_S = 5.0
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
CPU_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


def this_machine() -> MachineFacts:
    """The device that training would use here: the first visible CUDA GPU, else the CPU.

    A torch built without CUDA is believed over nvidia-smi. Never raises: what cannot be found out counts as absent.
    """
    cores, memory_GiB = _cores(), _system_memory_GiB()
    gpu = parse_nvidia_smi(_ask_nvidia()) if _cuda_is_usable() else None
    if gpu is not None:
        gpu_GiB, capability = gpu
        return MachineFacts("cuda", gpu_GiB, capability >= FIRST_BF16_CAPABILITY, cores)
    return MachineFacts("cpu", memory_GiB, _cpu_has_bf16(_text("/proc/cpuinfo")), cores)


def parse_nvidia_smi(text: str) -> tuple[float, float] | None:
    """(memory in GiB, compute capability) of the first GPU listed; None when no line can be read.

    >>> parse_nvidia_smi("81559 MiB, 9.0")
    (79.6474609375, 9.0)
    """
    for line in text.splitlines():
        memory, _, capability = line.partition(",")
        amount = memory.split()
        try:
            return float(amount[0]) / 1024, float(capability)
        except (ValueError, IndexError):
            continue
    return None


def parse_meminfo(text: str) -> float | None:
    """MemTotal of /proc/meminfo in GiB; None when it is not there.

    >>> parse_meminfo("MemTotal:       16777216 kB")
    16.0
    """
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "MemTotal:" and words[1].isdigit():
            return int(words[1]) * 1024 / GIB
    return None


def _cuda_is_usable() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return not hidden and not _torch_is_cpu_only()


def _torch_is_cpu_only() -> bool:
    """Told from the installed version's name: importing torch would take seconds."""
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


def _ask_nvidia() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    chosen = ["-i", visible] if visible else []
    question = [program, *chosen, "--query-gpu=memory.total,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def _system_memory_GiB() -> float:
    total = parse_meminfo(_text("/proc/meminfo")) or _sysconf_GiB()
    limits = [int(text) / GIB for text in map(_text, CGROUP_LIMITS) if text.strip().isdigit()]
    return min([total, *limits])


def _sysconf_GiB() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (ValueError, OSError, AttributeError):
        return 0.0


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_has_bf16(cpuinfo: str) -> bool:
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    return not CPU_BF16_FLAGS.isdisjoint(flags.split())


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
