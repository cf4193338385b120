"""A request for a chat completion, as OpenAI's clients send it, read into a question of ours.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_gateway.asking import Asked
from ai_gateway.doors.openai_errors import BadRequest
from ai_gateway.protocol import Prompt, Role, Turn
from tickets.text import clean

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_MESSAGES = 1_000
TOOLS_PATIENCE_S = 60.0  # a call of a tool shows no text until it is whole

# Given to OpenAI-compatible endpoints as it is, with the type that it must have.
_PASSED_ON: dict[str, tuple[type, ...]] = {
    "temperature": (int, float),
    "top_p": (int, float),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "seed": (int,),
    "stop": (str, list),
    "response_format": (dict,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "functions": (list,),
    "function_call": (str, dict),
    "reasoning_effort": (str,),
    "verbosity": (str,),
    "logit_bias": (dict,),
}
# Says something to OpenAI itself, and nothing to us.
_WITHOUT_MEANING = (
    *("metadata", "store", "service_tier", "prompt_cache_key", "safety_identifier"),
    *("modalities", "prediction"),
)
_OWN = ("model", "messages", "stream", "stream_options", "user", "n", "logprobs")


@dataclass(frozen=True)
class ChatRequest:
    """What was asked, and how the answer is wanted."""

    model: str
    asked: Asked
    stream: bool
    include_usage: bool
    takes_tools: bool


def read(body: Any) -> ChatRequest:
    """Raises BadRequest, which names the parameter."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    for name in body:
        if name not in _PASSED_ON and name not in _OWN and name not in _WITHOUT_MEANING:
            raise BadRequest(f"Unrecognized request argument supplied: {name}", clean(name))
    model = _of_type(body, "model", (str,), required=True)
    if body.get("n") not in (None, 1):
        raise BadRequest("n must be 1: there is one answer", "n")
    if body.get("logprobs"):
        raise BadRequest("logprobs are not available", "logprobs")
    passed_on = {
        name: value
        for name, types in _PASSED_ON.items()
        if (value := _of_type(body, name, types)) is not None
    }
    stream_options = _of_type(body, "stream_options", (dict,)) or {}
    takes_tools = bool(passed_on.get("tools") or passed_on.get("functions"))
    return ChatRequest(
        model=model,
        asked=Asked(
            _prompt(_messages(body), passed_on, _of_type(body, "user", (str,)) or ""),
            endpoint=model,
            first_text_s=TOOLS_PATIENCE_S if takes_tools else None,
            wants_intent=False,  # the protocol has no word for it
        ),
        stream=bool(_of_type(body, "stream", (bool,))),
        include_usage=stream_options.get("include_usage") is True,
        takes_tools=takes_tools,
    )


def _of_type(
    body: Mapping[str, Any], name: str, types: tuple[type, ...], *, required: bool = False
) -> Any:
    """The value, None where it is left out. A bool is no number here."""
    value = body.get(name)
    if value is None:
        if required:
            raise BadRequest(f"you must provide {name}", name)
        return None
    right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if not right:
        wanted = " or ".join(kind.__name__ for kind in types)
        raise BadRequest(f"{name} is of the wrong type: {wanted} is expected", name)
    return value


# Messages -------------------------------------------------------------------------------------


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = _of_type(body, "messages", (list,), required=True)
    if not messages or len(messages) > MAX_MESSAGES:
        raise BadRequest(f"1 to {MAX_MESSAGES} messages are expected", "messages")
    for index, message in enumerate(messages):
        _check(message, f"messages[{index}]")
    return list(messages)


def _check(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise BadRequest(f"{where} must be an object", where)
    if message.get("role") not in ROLES:
        raise BadRequest(f"{where}.role must be one of {', '.join(ROLES)}", f"{where}.role")
    content = message.get("content")
    if content is None and message["role"] == "assistant":
        return  # it called tools, and said nothing
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not content:
        raise BadRequest(f"{where}.content must be a string or parts", f"{where}.content")
    for index, part in enumerate(content):
        _check_part(part, f"{where}.content[{index}]")


def _check_part(part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal"):
        if not isinstance(part.get(kind), str):
            raise BadRequest(f"{where}.{kind} must be a string", f"{where}.{kind}")
    elif kind == "image_url":
        picture = part.get("image_url")
        if not isinstance(picture, dict) or not isinstance(picture.get("url"), str):
            raise BadRequest(f"{where}.image_url.url must be a string", f"{where}.image_url")
    else:
        raise BadRequest(f"{where}.type must be text or image_url", f"{where}.type")


def _prompt(messages: list[dict[str, Any]], passed_on: dict[str, Any], user: str) -> Prompt:
    """The last thing that the user said is the question, what stands before it the history."""
    said = [(message["role"], _text(message.get("content"))) for message in messages]
    last = max((i for i, (role, text) in enumerate(said) if role == "user" and text), default=None)
    if last is None:
        raise BadRequest("no message of the user says anything", "messages")
    instructions = [text for role, text in said if role in ("system", "developer") and text]
    if _goes_beyond_turns(messages) or last != len(messages) - 1:
        passed_on = {**passed_on, "messages": messages}
    return Prompt(
        text=said[last][1],
        history=tuple(_turn(role, text) for role, text in said[:last] if _is_turn(role, text)),
        user=clean(user),
        system="\n\n".join(instructions),
        uncut=True,
        passed_on=passed_on,
    )


def _text(content: Any) -> str:
    if not isinstance(content, list):
        return clean(content or "")
    words = [
        "[图片]" if part["type"] == "image_url" else str(part[part["type"]]) for part in content
    ]
    return clean("\n".join(words))


def _is_turn(role: str, text: str) -> bool:
    return role in ("user", "assistant") and bool(text)


def _turn(role: str, text: str) -> Turn:
    return Turn(Role.CONTACT if role == "user" else Role.HOUSE, text)


def _goes_beyond_turns(messages: list[dict[str, Any]]) -> bool:
    """Pictures, tools, and instructions amid the talk: only the messages themselves hold them."""
    roles = [message["role"] for message in messages]
    talk = roles[next((i for i, r in enumerate(roles) if r not in ("system", "developer")), 0) :]
    return any(
        message["role"] in ("tool", "function")
        or message.get("tool_calls")
        or message.get("function_call")
        or _has_picture(message.get("content"))
        for message in messages
    ) or any(role in ("system", "developer") for role in talk)


def _has_picture(content: Any) -> bool:
    return isinstance(content, list) and any(part["type"] == "image_url" for part in content)
