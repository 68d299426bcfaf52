"""Where the rules come from, as shown to users: the title in quotes, who and when. A guide also has a short name."""

from __future__ import annotations

from tunewright.schema import sources


def _quoted(source: str) -> str:
    title, _, rest = source.partition(" (")
    return f'"{title}" ({rest}'


G0, G1 = f"G0 {_quoted(sources.G0)}", f"G1 {_quoted(sources.G1)}"
G2, G3 = f"G2 {_quoted(sources.G2)}", f"G3 {_quoted(sources.G3)}"

PLAYBOOK = _quoted(sources.PLAYBOOK)
PRECHELT = _quoted(sources.PRECHELT)
LORA_WITHOUT_REGRET = _quoted(sources.LORA_WITHOUT_REGRET)
DECOUPLED = _quoted(sources.DECOUPLED)
MIXED_PRECISION = _quoted("Mixed Precision Training (Micikevicius et al., 2017-10)")
CONTINUAL = _quoted("Fine-tuned Language Models are Continual Learners (Scialom et al., 2022-05)")
TRAINER = "Hugging Face Trainer, how it logs losses (transformers 5.23.0, 2026)"


def title(source: str) -> str:
    """The short name of a source in a sentence: G0..G3, or the source itself.

    >>> title(G2)
    'G2'
    """
    return source[:2] if source[:1] == "G" and source[1:2].isdigit() else source
