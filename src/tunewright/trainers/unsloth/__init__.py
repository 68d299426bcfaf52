"""Unsloth: a script around its FastLanguageModel and TRL's SFTTrainer."""
