"""Rows as token ids with the mask of what is trained on, exactly as the tokenizer's own chat template says.

Each text is tokenised once and whole, so token boundaries are those the model will see; spans of characters become
spans of tokens by the tokenizer's offsets. A token that straddles the boundary between prompt and answer belongs to
the prompt. No begin-of-text token is added to what a template renders: the template has written its own.
"""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunewright.data.faults import Fault, make_fault, merged
from tunewright.data.marking import marking_faults
from tunewright.data.render import Span
from tunewright.data.row_faults import role_fault
from tunewright.data.rows import Row
from tunewright.data.template import ChatTemplate, Sample
from tunewright.schema.errors import ModelError

T = TypeVar("T")

# Texts per call of the tokenizer: enough to keep its threads busy, few enough to keep its objects small.
_CHUNK = 1000


@dataclass(frozen=True, eq=False)
class TokenRow:
    """ids [T] int32; supervised [T] bool: the token is a training target. Token 0 never is: nothing predicts it.

    number: of the row it was made from (of the first one, where rows are joined to blocks).
    """

    number: int
    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Encoded:
    """Rows ready for training.

    rows: those with at least one supervised token, in the file's order; truncated: numbers of the rows cut at
    max_length; unsupervised: numbers of the rows left out because nothing in them can be trained on;
    faults: no_supervised_token, truncated, no_stop_token, doubled_bos, template_mismatch, prompt_not_masked.
    """

    rows: tuple[TokenRow, ...]
    truncated: tuple[int, ...]
    unsupervised: tuple[int, ...]
    faults: tuple[Fault, ...]

    @property
    def tokens(self) -> int:
        """All input tokens."""
        return sum(len(row) for row in self.rows)

    @property
    def supervised_tokens(self) -> int:
        """The tokens trained on."""
        return sum(int(row.supervised.sum()) for row in self.rows)


def encode_rows(
    rows: Sequence[Row],
    tokenizer: Any,
    *,
    loss_on: str = "assistant",
    max_length: int,
    stage: str = "sft",
    on_progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Token rows of at most ``max_length`` tokens, with the mask of ``loss_on``.

    loss_on: "assistant" every answer, "last_assistant" and "completion" the last one, "all" every token. Raw texts
    are trained on whole, with an end-of-text token. Without a chat template, "completion" joins prompt, answer and
    end-of-text token with nothing between. stage "pt": texts joined and cut into blocks, every token supervised.
    ``on_progress(rows done, rows in all)`` is called now and then.
    A row with wrong roles is left out (``read_rows`` reports it); a row that a rewriting template (see
    ``ChatTemplate.samples``) cannot show at once gives several token rows of its number.
    Raises ModelError for chats without a chat template, and for a tokenizer without character offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{_name(tokenizer)}: the tokenizer gives no character offsets, expected a tokenizer.json")
    usable = [row for row in rows if not role_fault(row)]
    if stage == "pt":
        return _blocks(usable, tokenizer, max_length)
    samples, mismatched = _samples(usable, tokenizer, loss_on)
    found = [*make_fault("template_mismatch", mismatched), *marking_faults(usable, samples, tokenizer)]
    return _encode(samples, found, tokenizer, max_length, on_progress)


def default_max_length(context: int) -> int:
    """Tokens per row when none are asked for: the model's context or 2048, whichever is smaller."""
    return min(context, 2048)


def stop_token_ids(tokenizer: Any) -> tuple[int, ...]:
    """Tokens at which an answer ends: end-of-text, and the special token the chat template ends answers with."""
    stops = {tokenizer.eos_token_id} - {None}
    if tokenizer.chat_template:
        # Without any special token the stop is ordinary text, which ends no generation.
        last = tokenizer(ChatTemplate.of(tokenizer).stop, add_special_tokens=False)["input_ids"][-1:]
        stops |= {token for token in last if token in _special_ids(tokenizer)}
    return tuple(sorted(stops))


def _special_ids(tokenizer: Any) -> set[int]:
    return set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)


def _name(tokenizer: Any) -> str:
    return str(getattr(tokenizer, "name_or_path", "") or "this tokenizer")


def _samples(rows: Sequence[Row], tokenizer: Any, loss_on: str) -> tuple[list[Sample], dict[int, str]]:
    """Texts and spans of all rows, in the order of the rows; and the rows the template does not fit."""
    chats = [row for row in rows if row.text is None]
    joined = not tokenizer.chat_template and loss_on == "completion" and all(_is_pair(row) for row in chats)
    if chats and not joined and not tokenizer.chat_template:
        raise ModelError(
            f"{_name(tokenizer)}: the rows are chats and the tokenizer has no chat template",
            hint="--set template=FILE (a Jinja chat template), or for single questions --set loss_on=completion",
        )
    samples = [_raw_sample(row, tokenizer) for row in rows if row.text is not None or joined]
    mismatched: dict[int, str] = {}
    if chats and not joined:
        template = ChatTemplate.of(tokenizer)
        last_only = loss_on in ("last_assistant", "completion")
        made, mismatched = template.whole(chats) if loss_on == "all" else template.samples(chats, last_only=last_only)
        samples += made
    place = {row.number: at for at, row in enumerate(rows)}
    return sorted(samples, key=lambda sample: place[sample.number]), mismatched


def _is_pair(row: Row) -> bool:
    return [message.role for message in row.messages] == ["user", "assistant"]


def _raw_sample(row: Row, tokenizer: Any) -> Sample:
    """A text with the begin- and end-of-text tokens this tokenizer would use; prompts are not trained on."""
    begin = _begin(tokenizer)
    text = row.prompt + row.answer
    if text.startswith(begin):
        begin = ""
    start = len(begin) + len(row.prompt)
    whole = begin + text + (tokenizer.eos_token or "")
    return Sample(row.number, whole, ((start, len(whole)),), len(whole))


def _begin(tokenizer: Any) -> str:
    """The begin-of-text token as text, when this tokenizer puts it before every text by itself."""
    first = tokenizer("a")["input_ids"][:1]
    return str(tokenizer.bos_token) if tokenizer.bos_token and first == [tokenizer.bos_token_id] else ""


def _tokenised(texts: Sequence[str], tokenizer: Any) -> Iterator[tuple[list[int], list[Span]]]:
    """Ids and character offsets of each text."""
    for at in range(0, len(texts), _CHUNK):
        chunk = list(texts[at : at + _CHUNK])
        encoded = tokenizer(chunk, add_special_tokens=False, return_attention_mask=False, verbose=False)
        for one in encoded.encodings:  # straight from the tokenizer: its offsets as a dict of lists cost as much again
            yield one.ids, one.offsets


def _uncollected(items: Iterator[T]) -> Iterator[T]:
    """The items, without Python looking for cycles meanwhile: offsets are millions of pairs, and hold none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield from items
    finally:
        if was_on:
            gc.enable()


def token_span(offsets: Sequence[Span], text: str, span: Span) -> slice:
    """The tokens that lie wholly inside a [start, end) span of characters.

    Byte-level tokenizers leave a leading space out of a token's offsets; a token that swallowed the prompt's last
    space still straddles the boundary.

    >>> token_span([(0, 3), (4, 6), (6, 9)], "ask me now", (3, 9))
    slice(1, 3, None)
    >>> token_span([(0, 3), (4, 6), (6, 9)], "ask me now", (4, 9))
    slice(2, 3, None)
    """
    start, end = span
    first = bisect_left(offsets, (start,))
    while first < len(offsets) and offsets[first][1] <= start:  # only spaces, and they lie before the start
        first += 1
    if start and text[start - 1] == " " and 0 < first < len(offsets) and offsets[first - 1][1] < start:
        first += 1
    stop = max(first, bisect_left(offsets, (end,)))
    while stop > first and offsets[stop - 1][1] > end:
        stop -= 1
    return slice(first, stop)


def _encode(
    samples: Sequence[Sample],
    found: Sequence[Fault],
    tokenizer: Any,
    max_length: int,
    on_progress: Callable[[int, int], None] | None,
) -> Encoded:
    made: list[TokenRow] = []
    cut: dict[int, str] = {}
    silent: dict[int, str] = {}
    stops, bos = _special_ids(tokenizer) | {tokenizer.eos_token_id}, tokenizer.bos_token_id
    unstopped: dict[int, str] = {}
    doubled: dict[int, str] = {}
    texts = [sample.text for sample in samples]
    tokenised = _uncollected(_tokenised(texts, tokenizer))
    for done, (sample, (ids, offsets)) in enumerate(zip(samples, tokenised, strict=True)):
        if on_progress is not None and done % _CHUNK == 0:
            on_progress(done, len(samples))
        supervised = _mask(offsets, sample)
        last = token_span(offsets, sample.text, (0, sample.answer_end)).stop - 1
        if len(ids) > max_length:
            cut[sample.number] = f"longer than max_length = {max_length} tokens: the rest is never seen"
        if last > 0 and ids[last] not in stops:
            unstopped[sample.number] = "the answer does not end in a special token, so the model never learns to stop"
        if bos is not None and ids[:2] == [bos, bos]:
            doubled[sample.number] = "the text begins with two begin-of-text tokens"
        if supervised[:max_length].any():
            made.append(TokenRow(sample.number, np.array(ids[:max_length], np.int32), supervised[:max_length]))
        else:
            silent[sample.number] = _why_silent(len(ids), supervised, max_length)
    refused = {row for fault in found if fault.fault == "template_mismatch" for row in fault.rows}
    return _result(made, found, refused, silent, cut, unstopped, doubled)


def _mask(offsets: Sequence[Span], sample: Sample) -> NDArray[np.bool_]:
    supervised = np.zeros(len(offsets), np.bool_)
    for span in sample.spans:
        supervised[token_span(offsets, sample.text, span)] = True
    supervised[:1] = False
    return supervised


def _why_silent(length: int, supervised: NDArray[np.bool_], max_length: int) -> str:
    if supervised.any():
        return f"the answer begins after max_length = {max_length} tokens: the prompt alone fills the row"
    return "a single token has nothing before it to predict it from" if length < 2 else "the answer has no token"


def _result(
    made: Sequence[TokenRow],
    found: Sequence[Fault],
    refused: set[int],
    silent: dict[int, str],
    cut: dict[int, str],
    unstopped: dict[int, str],
    doubled: dict[int, str],
) -> Encoded:
    with_rows = {row.number for row in made}
    silent = {number: reason for number, reason in silent.items() if number not in with_rows}
    return Encoded(
        rows=tuple(made),
        truncated=tuple(sorted(cut)),
        unsupervised=tuple(sorted({*silent, *(refused - with_rows)})),
        faults=merged(
            (
                *found,
                *make_fault("no_supervised_token", silent),
                *make_fault("truncated", cut),
                *make_fault("no_stop_token", unstopped),
                *make_fault("doubled_bos", doubled),
            )
        ),
    )


def _blocks(rows: Sequence[Row], tokenizer: Any, max_length: int) -> Encoded:
    """All texts one after the other, cut into rows of max_length tokens; the words of a chat without its roles.

    After each text stands the end-of-text token, and a block may hold several texts: it is read as one, a text can see
    the one before it. Only the last block may be shorter, and is left out when it is a single token. Every token is in
    exactly one block and a target once, but for a block's first, which has nothing before it. Empty texts say nothing.
    """
    rows = [row for row in rows if _words(row).strip()]
    texts = [_raw_sample(Row(row.number, text=_words(row)), tokenizer).text for row in rows]
    pieces = [np.array(ids, np.int32) for ids, _ in _tokenised(texts, tokenizer)]
    stream = np.concatenate(pieces) if pieces else np.empty(0, np.int32)
    ends = np.cumsum([len(piece) for piece in pieces])  # [rows] where each row's tokens end in the stream
    made = []
    for start in range(0, len(stream), max_length):
        ids = stream[start : start + max_length]
        if len(ids) > 1:
            supervised = np.arange(len(ids)) > 0
            made.append(TokenRow(rows[int(np.searchsorted(ends, start, side="right"))].number, ids, supervised))
    return Encoded(tuple(made), truncated=(), unsupervised=(), faults=())


def _words(row: Row) -> str:
    return "\n".join(message.content for message in row.messages) if row.text is None else row.text
