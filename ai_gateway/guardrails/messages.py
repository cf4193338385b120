"""Messages in OpenAI's form: every text in them that somebody wrote, and nothing else.

Roles, names, ids and addresses of pictures stay as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Change = Callable[[str, str], str]  # (role, text) -> the text that takes its place


def changed(messages: Sequence[Mapping[str, Any]], change: Change) -> list[dict[str, Any]]:
    """The messages with each of their texts changed; the given ones stay as they are."""
    return [_message(message, change) for message in messages]


def texts_of(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    found: list[str] = []

    def keep(_role: str, text: str) -> str:
        found.append(text)
        return text

    changed(messages, keep)
    return found


def _message(message: Mapping[str, Any], change: Change) -> dict[str, Any]:
    role = str(message.get("role", ""))
    done = dict(message)
    if "content" in done:
        done["content"] = _content(done["content"], role, change)
    if isinstance(refusal := done.get("refusal"), str):
        done["refusal"] = change(role, refusal)
    if isinstance(calls := done.get("tool_calls"), list):
        done["tool_calls"] = [_tool_call(call, role, change) for call in calls]
    if "function_call" in done:
        done["function_call"] = _function(done["function_call"], role, change)
    return done


def _content(content: Any, role: str, change: Change) -> Any:
    if isinstance(content, str):
        return change(role, content)
    if isinstance(content, list):
        return [_part(part, role, change) for part in content]
    return content


def _part(part: Any, role: str, change: Change) -> Any:
    if not isinstance(part, Mapping):
        return part
    words = {
        name: change(role, part[name])
        for name in ("text", "refusal")
        if isinstance(part.get(name), str)
    }
    return {**part, **words}


def _tool_call(call: Any, role: str, change: Change) -> Any:
    if not isinstance(call, Mapping):
        return call
    return {**call, "function": _function(call.get("function"), role, change)}


def _function(function: Any, role: str, change: Change) -> Any:
    """Its arguments, a text that holds JSON: placeholders need no escape in it."""
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return function
    return {**function, "arguments": change(role, function["arguments"])}
