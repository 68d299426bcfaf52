"""LLaMA-Factory's trainer_log.jsonl: current_steps, total_steps, loss, lr (older: learning_rate), epoch, eval_loss.

Rows of evaluations have ``loss`` null or absent, rows of training ``eval_loss`` null or absent; rows that only
tell progress have neither. A resumed run appends, so the steps go back.
Source: LLaMA-Factory 0.9.5, train/callbacks.py.
"""

from __future__ import annotations

from tunewright.curve.named_log import NamedLog

LOG = NamedLog("trainer_log.jsonl", kind="trainer_log")
matches, read = LOG.matches, LOG.read
