"""Base models to name when none was given: what fits this machine, largest first."""

from __future__ import annotations

from tunewright.data.model_folder import bundled_models
from tunewright.planner.memory import LIBRARIES_GIB, NF4_BYTES, budget_GiB
from tunewright.schema.facts import MachineFacts

# (Hub name, parameters): small instruction-tuned models with open licences
KNOWN = (
    ("Qwen/Qwen3-32B", 32.8e9),
    ("Qwen/Qwen3-14B", 14.8e9),
    ("Qwen/Qwen3-8B", 8.2e9),
    ("Qwen/Qwen3-4B", 4.0e9),
    ("Qwen/Qwen3-1.7B", 1.7e9),
    ("Qwen/Qwen3-0.6B", 0.6e9),
    ("HuggingFaceTB/SmolLM2-360M-Instruct", 0.36e9),
    ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.135e9),
)
LARGEST_ON_CPU = 1.0e9
"""Parameters; above this a CPU takes days for what a GPU does in minutes."""
BUNDLED_WHY = "bundled, trains in seconds on any CPU: for trying things out"


def models_that_fit(machine: MachineFacts) -> list[tuple[str, str]]:
    """(name, why) of models whose LoRA fits this machine, largest first; the bundled ones come last.

    A rough sum, without knowing the data: weights in the device's number format + a quarter for the run itself.

    >>> models_that_fit(MachineFacts("cpu", 8.0, False, 4))[0][0]
    'Qwen/Qwen3-0.6B'
    """
    fitting = [(name, why) for name, parameters in KNOWN if (why := _fits(machine, parameters))]
    return [*fitting, *((name, BUNDLED_WHY) for name in bundled_models())]


def _fits(machine: MachineFacts, parameters: float) -> str:
    """Why it fits, empty when it does not."""
    if machine.device != "cuda" and parameters > LARGEST_ON_CPU:
        return ""
    room_GiB = budget_GiB(machine)
    half = machine.device == "cuda"
    kinds = (("LoRA", 2.0 if half else 4.0), *((("QLoRA", NF4_BYTES),) if half else ()))
    for kind, bytes_each in kinds:
        need_GiB = LIBRARIES_GIB.get(machine.device, 0.4) + 1.25 * parameters * bytes_each / 2**30 + 0.5
        if need_GiB <= room_GiB:
            return f"{parameters / 1e9:.2g} B parameters, {kind} takes about {need_GiB:.1f} of {room_GiB:.1f} GiB"
    return ""
