"""Facts to a recipe: how long, how large, how fast, each value with its reason and its source.

``make_plan`` is in :mod:`tunewright.planner.planner`, the guides' settings in
:mod:`tunewright.planner.presets`, the step arithmetic that the engine shares in :mod:`tunewright.planner.steps`.
"""
