"""The sources that several parts cite, each worded once: title, then who and when. Without a printed date: undated."""

from __future__ import annotations

G0 = "LLM Fine-Tuning Guide: Understanding Training Parameters (2025-10)"
G1 = "Understanding Key Hyperparameters When Fine-Tuning an LLM (genmind.ch, 2025-01)"
G2 = "The Training Process (undated)"
G3 = "Mastering Large Model Training: Practical Parameter Tuning (undated)"

DECOUPLED = "Decoupled Weight Decay Regularization (Loshchilov and Hutter, 2017-11)"
LORA_WITHOUT_REGRET = "LoRA Without Regret (Thinking Machines Lab, 2025-09)"
PLAYBOOK = "Deep Learning Tuning Playbook (Google, 2023-01)"
PRECHELT = "Early Stopping - But When? (Prechelt, 1998)"
