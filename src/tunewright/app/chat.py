"""chat: the base and the tuned model answer the same questions, side by side, each in a conversation of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.app.tuned import Source, Voice, find_tuned, is_tuned, load_source_base, voices_of
from tunewright.app.watch import Silent, Watch
from tunewright.data.model_folder import resolve_model
from tunewright.schema.errors import UsageError

if TYPE_CHECKING:
    from tunewright.examiner.ask import Growing

LONGEST_ANSWER = 512
"""Tokens of one answer at most, unless asked otherwise."""
Turn = dict[str, str]


@dataclass(frozen=True)
class Exchange:
    """One question with the answer of each voice, by who gave it; an answer that was broken off is kept as it was."""

    question: str
    answers: Mapping[str, Growing]

    def __json__(self) -> dict[str, Any]:
        answers = [
            {"who": who, "text": said.text, "tokens": said.tokens, "ended": said.ended}
            for who, said in self.answers.items()
        ]
        return {"question": self.question, "answers": answers}


@dataclass
class Chat:
    """A conversation with each voice. ``forgotten``: exchanges that no longer fit into a model's context."""

    voices: tuple[Voice, ...]
    about: dict[str, Any]
    system: str = ""
    longest: int = LONGEST_ANSWER
    exchanges: list[Exchange] = field(default_factory=list)
    forgotten: int = 0
    _turns: dict[str, list[Turn]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start_again()

    def start_again(self) -> None:
        """Forget what was said; the exchanges stay on record."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        self._turns = {voice.who: list(first) for voice in self.voices}

    def ask(self, question: str) -> Iterator[dict[str, Growing]]:
        """The answers so far, by who gives them, growing by a token of each in turn; kept when the iterator ends.

        An iterator that is closed early keeps what was said until then. Raises DataError when a chat template
        refuses the conversation.
        """
        said: dict[str, Growing] = {}
        streams = {voice.who: self._stream(voice, question) for voice in self.voices}
        try:
            while streams:
                for who in list(streams):
                    piece = next(streams[who], None)
                    if piece is None:
                        del streams[who]
                    else:
                        said[who] = piece
                if streams:
                    yield dict(said)
        finally:
            self._keep(question, said)

    def _stream(self, voice: Voice, question: str) -> Iterator[Growing]:
        from tunewright.examiner.ask import fitting, stream_answer

        turns = [*self._turns[voice.who], {"role": "user", "content": question}]
        kept = fitting(voice.model, voice.tokenizer, turns, self.longest)
        self.forgotten = max(self.forgotten, (len(turns) - len(kept)) // 2)
        return stream_answer(voice.model, voice.tokenizer, kept, max_new_tokens=self.longest, worn=voice.worn)

    def _keep(self, question: str, said: Mapping[str, Growing]) -> None:
        if not said:
            return
        self.exchanges.append(Exchange(question, dict(said)))
        for who, answer in said.items():
            self._turns[who] += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer.text},
            ]

    def __json__(self) -> dict[str, Any]:
        return {**self.about, "exchanges": self.exchanges}


def chat(
    source: str | Path,
    *,
    model: str = "",
    only: str = "",
    system: str = "",
    longest: int = LONGEST_ANSWER,
    watch: Watch | None = None,
) -> Chat:
    """Load a run, an adapter folder or a plain model, ready to be asked.

    model: the adapter's base, where it is not recorded or has moved; only: "base" or "tuned", else both answer.
    A plain model has one voice, "model". Raises UsageError for a run without a tuned model.

    ``for said in tw.chat("runs/train-1").ask("Who is the captain?"): ...``
    """
    watch = watch or Silent()
    if longest < 1:
        raise UsageError(f"an answer of at most {longest} tokens: expected 1 or more")
    if not is_tuned(source) and _is_model(str(source)):
        return _with_model(str(source), only, system, longest, watch)
    tuned = find_tuned(source, model)
    voices = _voices(tuned, only, watch)
    about = {"source": str(source), "model": tuned.model, "tuned": str(tuned.folder)}
    return Chat(tuple(voice for voice in voices if voice.who in (only or voice.who)), about, system, longest)


def _is_model(name: str) -> bool:
    folder = Path(name)
    return (folder / "config.json").is_file() or not folder.exists()


def _with_model(name: str, only: str, system: str, longest: int, watch: Watch) -> Chat:
    from contextlib import nullcontext

    from tunewright.engine.base import load_base

    if only:
        raise UsageError(
            f"{name}: a plain model, which has no tuned side", hint=f"leave --{only}-only out, or name a run"
        )
    folder = resolve_model(name)
    watch.say(f"loading {folder}")
    base = load_base(folder)
    voice = Voice("model", base.model, base.tokenizer, nullcontext)
    return Chat((voice,), {"source": name, "model": folder, "tuned": None}, system, longest)


def _voices(tuned: Source, only: str, watch: Watch) -> tuple[Voice, ...]:
    watch.say(f"loading {tuned.model}")
    return voices_of(tuned, load_source_base(tuned))
