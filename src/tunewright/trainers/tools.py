"""The tools we write for and read from."""

from __future__ import annotations

from collections.abc import Mapping

from tunewright.trainers.axolotl.export import TOOL as AXOLOTL
from tunewright.trainers.llamafactory.export import TOOL as LLAMAFACTORY
from tunewright.trainers.tool import Tool
from tunewright.trainers.trl.export import TOOL as TRL
from tunewright.trainers.unsloth.export import TOOL as UNSLOTH

TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in (TRL, UNSLOTH, AXOLOTL, LLAMAFACTORY)}
