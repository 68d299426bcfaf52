"""One symptom per file: ``detect(view) -> Finding | Abstention | None``."""
