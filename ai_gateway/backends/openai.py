"""OpenAI-compatible servers: OpenAI, vLLM, Ollama, llama.cpp, DeepSeek, Qwen, and proxies.

https://platform.openai.com/docs/api-reference/chat
"""

import sys
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx

from ai_gateway import prompts, quotes
from ai_gateway.backends import exchange, http
from ai_gateway.backends.openai_reply import HANDOFF_MARK, Reply
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Role, Tell

SYSTEM_PROMPT = (
    "你是客服助手。用客户所用的语言，简短、准确、有礼貌地回答；不知道的不要编造。"
    f"客户要求人工服务，或者你无法解决时，在回答末尾另起一行写 {HANDOFF_MARK}。"
)
# What the operator may set, passed on as it is.
_PASSED_ON = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "tools",
    "tool_choice",
)
# What a server may refuse; then it is left out from there on.
_DROPPABLE = (
    "stream_options",
    "user",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "response_format",
    "tool_choice",
    "tools",
)
_ROLES = {Role.CONTACT: "user", Role.HOUSE: "assistant"}


class OpenAI:
    """POST <base_url>/chat/completions, always as a stream.

    Options: `system_prompt`, `handoff_mark`, `json_answer` (the text is a JSON object with
    `answer`, `intent`, `handoff`), `strip_think`, `vendor`, `history_turns`, `history_chars`,
    `images` (the model sees: pictures go along by their URL), `intents`, `intent_map`, `extra`
    (further fields of the request), and those that are passed on as they are.
    """

    name: ClassVar[str] = "openai"
    stateless: ClassVar[bool] = True  # a second call at once doubles nothing (`hedging`)
    required: ClassVar[tuple[str, ...]] = ("base_url",)

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        self._config, self._client = config, client
        self._url = http.join(config.base_url, "/chat/completions")
        self._vendor = str(config.options.get("vendor") or _vendor_of(config.base_url))
        self._refused: set[str] = set()

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        try:
            answer = await self._answer(prompt, tell)
        except EndpointError as error:
            if error.kind != ErrorKind.CONTEXT_LENGTH or not prompt.history or prompt.uncut:
                raise
            half = replace(prompt, history=prompt.history[(len(prompt.history) + 1) // 2 :])
            answer = await self._answer(half, tell)
        return replace(answer, citations=quotes.cited(answer.text, prompt.context))

    async def _answer(self, prompt: Prompt, tell: Tell) -> Answer:
        request = self._request(prompt)
        try:
            answer = await self._ask(request, tell)
        except EndpointError as error:
            refused = self._named_in(error, request, prompt)
            if not refused:
                raise
            self._refused.add(refused)
            return _for(prompt, await self._ask(self._request(prompt), tell))
        if self._config.options.get("json_answer") and _is_blank(answer):
            answer = await self._ask(request, tell)  # DeepSeek does this, and says to ask again
        return _for(prompt, answer)

    async def _ask(self, request: dict[str, Any], tell: Tell) -> Answer:
        post = http.post(
            self._client,
            self._url,
            json=request,
            headers=http.bearer(self._config),
            config=self._config,
        )
        return await exchange.ask(post, self._reply, tell)

    def _reply(self, response: httpx.Response) -> Reply:
        return Reply(
            response.status_code,
            self._config.options,
            vendor=self._vendor,
            retry_after_s=http.retry_after_s(response.headers),
        )

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        options = self._config.options
        extra = options.get("extra")
        request = {
            "model": self._config.model,
            "messages": self._messages(prompt),
            "stream": True,
            "stream_options": {"include_usage": True},
            "user": prompt.user,
            **{name: options[name] for name in _PASSED_ON if name in options},
            **(extra if isinstance(extra, dict) else {}),
            **{name: value for name, value in prompt.passed_on.items() if name != "messages"},
        }
        return {n: v for n, v in request.items() if v != "" and n not in self._refused}

    def _messages(self, prompt: Prompt) -> list[dict[str, Any]]:
        """What was said, below the operator's instruction; ours only where the asker has none."""
        options = self._config.options
        given = prompt.passed_on.get("messages")
        ours = SYSTEM_PROMPT if not (prompt.system or given) else ""
        mark = str(options.get("handoff_mark", HANDOFF_MARK))
        system = [
            str(options.get("system_prompt", ours)),
            "" if given else prompt.system,
            quotes.for_model(prompt.context, mark),
        ]
        text = "\n\n".join(filter(None, system))
        head = [{"role": "system", "content": text}] if text else []
        return head + (list(given) if given else self._turns(prompt))

    def _turns(self, prompt: Prompt) -> list[dict[str, Any]]:
        options = self._config.options
        if prompt.uncut:
            turns = prompts.window(prompt, max_turns=sys.maxsize, max_chars=sys.maxsize)
        else:
            turns = prompts.window(
                prompt,
                max_turns=int(options.get("history_turns", prompts.MAX_TURNS)),
                max_chars=int(options.get("history_chars", prompts.MAX_CHARS)),
            )
        said: list[dict[str, Any]] = [
            {"role": _ROLES[turn.role], "content": turn.text} for turn in turns
        ]
        if options.get("images") and (pictures := [f.url for f in prompt.files if f.is_image]):
            text = {"type": "text", "text": said[-1]["content"]}
            images = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
            said[-1]["content"] = [text, *images]
        return said

    def _named_in(self, error: EndpointError, request: dict[str, Any], prompt: Prompt) -> str:
        """The field that a 400 complains of, where we can do without it.

        What the asker brought is the asker's to mend: it must not be left out for all others.
        """
        if error.kind != ErrorKind.INVALID_REQUEST:
            return ""
        ours = [name for name in _DROPPABLE if name in request and name not in prompt.passed_on]
        return next((name for name in ours if name in error.detail), "")


def _for(prompt: Prompt, answer: Answer) -> Answer:
    """Calls of tools that the asker brought are for the asker, who goes on from there."""
    if answer.tools and "tools" in prompt.passed_on:
        return replace(answer, wants_handoff=True)
    return answer


def _vendor_of(base_url: str) -> str:
    host = urlsplit(base_url).hostname or ""
    known = ("dashscope", "deepseek", "openai")
    return next((vendor for vendor in known if vendor in host), "")


def _is_blank(answer: Answer) -> bool:
    return answer.finish == "stop" and not answer.raw.strip() and not answer.tools
