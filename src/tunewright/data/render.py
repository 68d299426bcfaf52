"""Chats as text by a tokenizer's own chat template, many at once; and which of them the template refuses, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

T = TypeVar("T")
Chat = list[dict[str, Any]]
Span = tuple[int, int]

NO_THINKING = {"enable_thinking": False}
"""For templates that let a model think aloud before it answers (Qwen3): a row whose answer holds no thought is trained
on as it is asked for later, behind the empty thought that such a template writes. Others ignore the switch."""


def render(
    tokenizer: Any, chats: Sequence[Chat], prompt: bool, switches: Mapping[str, Any], tools: Sequence[str] = ()
) -> tuple[list[str], dict[int, str]]:
    """The chats as texts, and for those the template refuses, by index, its words (their text is empty).

    ``tools``: of each chat, as JSON; no chat has any without it.
    """

    def whole(some: Sequence[Chat], same_tools: str) -> list[str]:
        texts: list[str] = tokenizer.apply_chat_template(
            some, tokenize=False, add_generation_prompt=prompt, tools=_loaded(same_tools), **switches
        )
        return texts

    return _by_tools(whole, chats, tools, "")


def render_marked(
    tokenizer: Any, chats: Sequence[Chat], tools: Sequence[str]
) -> tuple[list[tuple[str, list[Span]]], dict[int, str]]:
    """Like :func:`render`, with the spans that the template's own marks enclose."""
    from transformers.utils.chat_template_utils import render_jinja_template

    def whole(some: Sequence[Chat], same_tools: str) -> list[tuple[str, list[Span]]]:
        texts, marked = render_jinja_template(
            conversations=some,
            tools=_loaded(same_tools),
            chat_template=tokenizer.get_chat_template(),
            return_assistant_tokens_mask=True,
            **tokenizer.special_tokens_map,
            **NO_THINKING,
        )
        return list(zip(texts, marked, strict=True))

    return _by_tools(whole, chats, tools, ("", []))


def _loaded(tools: str) -> list[dict[str, Any]] | None:
    return list(orjson.loads(tools)) if tools else None


def _by_tools(
    render: Callable[[Sequence[Chat], str], list[T]], chats: Sequence[Chat], tools: Sequence[str], nothing: T
) -> tuple[list[T], dict[int, str]]:
    """A template is told the tools once for all chats it renders, so chats with the same tools go together."""
    if not any(tools):
        return _each(_told(render, ""), chats, nothing)
    made, refused = [nothing] * len(chats), dict[int, str]()
    for same in dict.fromkeys(tools):
        places = [at for at, own in enumerate(tools) if own == same]
        texts, why = _each(_told(render, same), [chats[at] for at in places], nothing)
        for index, at in enumerate(places):
            made[at] = texts[index]
        refused |= {places[index]: reason for index, reason in why.items()}
    return made, refused


def _told(render: Callable[[Sequence[Chat], str], list[T]], tools: str) -> Callable[[Sequence[Chat]], list[T]]:
    return lambda some: render(some, tools)


def _each(
    render: Callable[[Sequence[Chat]], list[T]], chats: Sequence[Chat], nothing: T
) -> tuple[list[T], dict[int, str]]:
    """All at once, which is fast; one by one when the template refuses any, to learn which and why."""
    from jinja2 import TemplateError

    # What a template can raise beside its own refusals: it indexes, compares and concatenates what it is given.
    failures = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
    if not chats:
        return [], {}
    try:
        return render(chats), {}
    except failures:
        pass
    texts, refused = [], {}
    for at, chat in enumerate(chats):
        try:
            texts += render([chat])
        except failures as error:
            texts.append(nothing)
            refused[at] = f"the template refuses the row: {(str(error).splitlines() or [''])[0][:200]}"
    return texts, refused
