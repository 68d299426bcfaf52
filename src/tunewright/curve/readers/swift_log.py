"""ms-swift's logging.jsonl: the Trainer's rows with "global_step/max_steps" as text ("12/300").

The last line is a summary with the whole ``log_history`` in it and no loss of its own; Megatron-Swift writes the step
as ``iteration`` in the same form. A resumed run appends. Source: ms-swift 4.6.0, trainers/patcher.py.
"""

from __future__ import annotations

from tunewright.curve.named_log import NamedLog

LOG = NamedLog("logging.jsonl", kind="ms_swift")
matches, read = LOG.matches, LOG.read
