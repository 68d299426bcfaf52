"""ms-swift: a plugin file for its command line.

swift sft ... --external_plugins $(python -m tunewright.trainers.swift) --callbacks tunewright
"""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).with_name("doctor_plugin.py")
"""A folder of its own: ms-swift puts a plugin's folder first on the module path, where the folders beside this one
would be taken for the trl, unsloth and axolotl that are installed."""
