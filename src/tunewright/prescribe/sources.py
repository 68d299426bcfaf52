"""Where the rules come from: title and date, as shown to users. A source without a printed date says so."""

from __future__ import annotations

G0 = 'G0 "LLM Fine-Tuning Guide: Understanding Training Parameters" (2025-10)'
G1 = 'G1 "Understanding Key Hyperparameters When Fine-Tuning an LLM" (genmind.ch, 2025-01)'
G2 = 'G2 "The Training Process" (undated)'
G3 = 'G3 "Mastering Large Model Training: Practical Parameter Tuning" (undated)'

PLAYBOOK = '"Deep Learning Tuning Playbook" (Google, 2023-01)'
PRECHELT = 'Prechelt, "Early Stopping - But When?" (1998)'
LORA_WITHOUT_REGRET = '"LoRA Without Regret" (Thinking Machines, 2025-09)'
MIXED_PRECISION = 'Micikevicius et al., "Mixed Precision Training" (2017-10)'
DECOUPLED = 'Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2017-11)'
CONTINUAL = 'Scialom et al., "Fine-tuned Language Models are Continual Learners" (2022-05)'
TRAINER = "Hugging Face Trainer, how it logs losses (transformers 5.23.0, 2026)"


def title(source: str) -> str:
    """The short name of a source in a sentence: G0..G3, or the source itself.

    >>> title(G2)
    'G2'
    """
    return source[:2] if source[:1] == "G" and source[1:2].isdigit() else source
