"""TRL: a script around its SFTTrainer."""
