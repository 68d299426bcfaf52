"""A byte-level BPE tokenizer with a chat template, trained on a world's own corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from world.corpus import Chat
from world.spec import WorldSpec
from world.words import SYLLABLES

CONTEXT = 512
PAD = "<|pad|>"
# Often enough for each role to become one token: every turn of every chat has one.
ROLE_COUNT = 3_000


def _texts(chats: Iterable[Chat]) -> Iterator[str]:
    """Only what is said: the roles are few and always the same, the template adds them."""
    for chat in chats:
        for message in chat:
            yield message["content"]


def _syllables(count: int) -> Iterator[str]:
    """Each syllable alone, at a start, capitalised and inside, so that names are split into syllables, always alike."""
    for syllable in SYLLABLES:
        for form in (syllable, syllable.capitalize()):
            yield ",".join([form] * count)
            yield f" {form}" * count


def train_tokenizer(spec: WorldSpec, chats: Sequence[Chat]) -> PreTrainedTokenizerFast:
    """Bytes are the alphabet, so any text can be written; digits stay single, so that sums can be learnt."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    specials = [PAD, *([spec.bos] if spec.bos else []), *spec.markers, spec.eos]
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocabulary,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    roles = ["system", "user", "assistant"] * ROLE_COUNT
    # Half as often as there are chats: more often than any pair of letters across two syllables.
    core.train_from_iterator([*_texts(chats), *_syllables(len(chats) // 2), *roles], trainer)
    extra = {"bos_token": spec.bos} if spec.bos else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=spec.eos,
        pad_token=PAD,
        additional_special_tokens=list(spec.markers),
        chat_template=spec.template,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        **extra,
    )
