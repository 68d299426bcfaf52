"""Any trainer's log as one :class:`tunewright.schema.curve.Curve`."""
