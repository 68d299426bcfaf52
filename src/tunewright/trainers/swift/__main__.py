"""Prints where the plugin is: ``python -m tunewright.trainers.swift``."""

import sys

from tunewright.trainers.swift import PLUGIN

sys.stdout.write(f"{PLUGIN}\n")
