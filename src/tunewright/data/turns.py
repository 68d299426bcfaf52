"""Turns of a chat, as data sets write them, made into the form that chat templates take.

ShareGPT and its relatives name the speakers otherwise, content may come in parts, and calls of tools stand beside the
content, in it, or in a turn of their own. Arguments written as JSON become objects, as templates print objects
themselves and would quote a text once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tunewright.data.rows import Message
from tunewright.data.values import BadRecord, kind_of, sound_text

# Templates know four roles; other words are kept and reported as a fault.
ROLE_NAMES = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "developer": "system",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "tool_response": "tool",
}
_CALLER = ("function_call", "tool_call")
"""Who speaks a turn that is nothing but a call of a tool."""
_KEPT = ("reasoning_content", "thinking", "name", "tool_call_id")
"""Further fields of a turn that templates read."""


def turns(value: Any, column: str) -> tuple[Message, ...]:
    """The turns in a column. Raises BadRecord when it holds anything but a list of them."""
    if isinstance(value, str):  # a CSV cell can only hold the list as JSON
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise BadRecord(f"{column!r} is text, expected a list of turns") from None
    if not isinstance(value, list):
        raise BadRecord(f"{column!r} is {kind_of(value)}, expected a list of turns")
    if not value:
        raise BadRecord(f"{column!r} is empty")
    return tuple(_turn(turn, column) for turn in value)


def tools(value: Any) -> str:
    """The tools a chat may call as JSON, each in the form {"type", "function"}; empty without any.

    Raises BadRecord when they are no list of objects.

    >>> tools('[{"name": "clock"}]')
    '[{"type":"function","function":{"name":"clock"}}]'
    """
    if value is None or value == "" or value == []:
        return ""
    listed = _loaded(value)
    if not isinstance(listed, list) or not all(isinstance(tool, Mapping) for tool in listed):
        raise BadRecord(f"'tools' is {kind_of(value)}, expected a list of objects")
    return _json([tool if "function" in tool else {"type": "function", "function": tool} for tool in listed])


def _turn(turn: Any, column: str) -> Message:
    if not isinstance(turn, Mapping):
        raise BadRecord(f"a turn of {column!r} is {kind_of(turn)}, expected an object")
    sharegpt = turn.get("from") is not None or ("from" in turn and "role" not in turn)
    who, what = ("from", "value") if sharegpt else ("role", "content")
    role = sound_text(turn, who)
    if role in _CALLER:
        return _caller(sound_text(turn, what))
    role = ROLE_NAMES.get(role, role)
    calls = _calls(turn)
    fields = {name: sound_text(turn, name) for name in _KEPT if turn.get(name)}
    content = _content(turn, what, may_lack=role == "assistant")
    more = {"tool_calls": calls} if calls else {}
    not_trained = {"weight": 0} if role == "assistant" and turn.get("weight") == 0 else {}
    return Message(role, content, _json({**more, **fields, **not_trained}))


def _content(turn: Mapping[str, Any], name: str, *, may_lack: bool) -> str:
    value = turn.get(name)
    if isinstance(value, list):
        return "".join(_part(part, name) for part in value)
    if value is None and may_lack and name in turn:  # beside a call there is often none; alone it is an empty answer
        return ""
    return sound_text(turn, name)


def _part(part: Any, name: str) -> str:
    if not isinstance(part, Mapping) or part.get("type", "text") != "text":
        kind = repr(part.get("type"))[:40] if isinstance(part, Mapping) else kind_of(part)
        raise BadRecord(f"{name!r} is a list, expected text or parts of type 'text', found {kind}")
    return sound_text(part, "text")


def _caller(text: str) -> Message:
    """A turn that is a call written as JSON; one that is not stays an answer as it is."""
    value = _loaded(text)
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(call, Mapping) and "name" in call for call in listed):
        return Message("assistant", text)
    return Message("assistant", "", _json({"tool_calls": [_call(call) for call in listed]}))


def _calls(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = _loaded(turn.get("tool_calls")) or []
    if turn.get("function_call"):
        listed = [turn["function_call"]]
    if not isinstance(listed, list):
        raise BadRecord(f"'tool_calls' is {kind_of(listed)}, expected a list")
    return [_call(call) for call in listed]


def _call(call: Any) -> dict[str, Any]:
    """A call as templates take it, whether its function is named inside or outside."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise BadRecord("a call of a tool names no function")
    arguments = _loaded(function.get("arguments"))
    made = {"name": function["name"], "arguments": {} if arguments is None else arguments}
    return {**({"id": call["id"]} if call.get("id") else {}), "type": "function", "function": made}


def _loaded(value: Any) -> Any:
    """What a text holds as JSON; anything else, and a text that is no JSON, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode() if value else ""
    except (orjson.JSONEncodeError, TypeError):  # half a surrogate pair, a number beyond 64 bits, a date of Parquet
        raise BadRecord("a call of a tool holds what JSON cannot", odd=True) from None
