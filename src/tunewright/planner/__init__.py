"""Facts to a recipe: how long, how large, how fast, each value with its reason and its source.

``make_plan`` is in :mod:`tunewright.plan.planner`, the guides' settings in :mod:`tunewright.plan.presets`, the step
arithmetic that the engine shares in :mod:`tunewright.plan.steps`.
"""
