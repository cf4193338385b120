"""FastGPT: apps behind chat completions.  https://doc.fastgpt.in/docs/openapi/chat"""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from ai_gateway.backends import digest, exchange, http
from ai_gateway.backends.fastgpt_errors import classify
from ai_gateway.backends.fastgpt_reply import FastGPTReply
from ai_gateway.backends.reply import as_object, strings
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Tell

HOSTED = "https://api.fastgpt.in/api"
COMPLETIONS = {"v1": "/v1/chat/completions", "v2": "/v2/chat/completions"}
SUGGESTED_S = 3.0
MAX_CHAT_ID = 250


class FastGPT:
    """POST <base_url>/v1/chat/completions, always as a stream.

    Options: `app_id` (for a team's key, and for stop, feedback and suggestions), `version` (`v1`,
    `v2`), `detail` (the nodes' records: usage, citations, intent), `variables`, `suggested`,
    for plugin apps `query_input` (the variable for the question, instead of a message) and
    `output` (the one that is the answer), and those of `reply` and `meaning`.
    """

    name: ClassVar[str] = "fastgpt"
    required: ClassVar[tuple[str, ...]] = ("api_key",)

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        self._config, self._client = config, client
        self._base = http.root(config.base_url or HOSTED, *COMPLETIONS.values())
        version = str(config.options.get("version", "v1"))
        self._path = COMPLETIONS.get(version, COMPLETIONS["v1"])
        self._app_id = str(config.options.get("app_id") or "")

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        chat_id = prompt.memory.get("chat_id") or _new_chat_id(prompt)
        message_id = uuid.uuid4().hex[:24]

        async def stop(known: Answer) -> None:
            if self._app_id:
                await self._call("/v2/chat/stop", {"chatId": chat_id})

        post = http.post(
            self._client,
            self._base + self._path,
            json=self._request(prompt, chat_id, message_id),
            headers=http.bearer(self._config),
            config=self._config,
        )
        answer = await exchange.ask(post, self._reply, tell, stop)
        memory = {"chat_id": chat_id, "said": digest.fingerprint(answer.text)}
        if answer.finish == "requires_action":
            memory["awaits"] = "choice"
        return dataclasses.replace(
            answer,
            memory=memory,
            message_id=message_id,
            suggested=await self._suggested(chat_id),
        )

    async def feedback(self, memory: Mapping[str, str], message_id: str, good: bool | None) -> None:
        """👍 (True), 👎 (False), or neither. Raises EndpointError."""
        if not self._app_id:
            raise EndpointError(ErrorKind.NOT_CONFIGURED, "options.app_id")
        body = {"chatId": memory.get("chat_id", ""), "dataId": message_id}
        if good is not None:
            body["userGoodFeedback" if good else "userBadFeedback"] = "yes"
        await self._call("/core/chat/feedback/updateUserFeedback", body)

    def _reply(self, response: httpx.Response) -> FastGPTReply:
        return FastGPTReply(
            response.status_code,
            self._config.options,
            retry_after_s=http.retry_after_s(response.headers),
        )

    def _request(self, prompt: Prompt, chat_id: str, message_id: str) -> dict[str, Any]:
        """FastGPT keeps the history itself, and takes only the last of the messages."""
        options = self._config.options
        variables = options.get("variables")
        variables = dict(variables) if isinstance(variables, dict) else {}
        messages = [{"role": "user", "content": self._content(prompt)}]
        if name := options.get("query_input"):
            variables[str(name)], messages = prompt.text, []
        body = {
            "chatId": chat_id,
            "responseChatItemId": message_id,
            "customUid": prompt.user,
            "appId": self._app_id,
            "stream": True,
            "detail": options.get("detail", True) is not False,
            "messages": messages,
            "variables": variables,
        }
        return {name: value for name, value in body.items() if value not in ("", [], {})}

    def _content(self, prompt: Prompt) -> Any:
        # A flow that waits for a choice wants that and nothing else.
        waits = prompt.memory.get("awaits")
        turns = [] if waits else digest.unheard(prompt, prompt.memory)
        text = digest.in_front_of(prompt.text, turns)
        if not prompt.files:
            return text
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        for file in prompt.files:
            if file.is_image:
                parts.append({"type": "image_url", "image_url": {"url": file.url}})
            else:
                parts.append({"type": "file_url", "name": file.name, "url": file.url})
        return parts

    async def _suggested(self, chat_id: str) -> tuple[str, ...]:
        if not (self._app_id and self._config.options.get("suggested")):
            return ()
        try:
            listed = await self._call(
                "/core/ai/agent/v2/createQuestionGuide", {"chatId": chat_id}, within_s=SUGGESTED_S
            )
        except EndpointError:  # the answer is whole without them
            return ()
        return strings(listed)

    async def _call(
        self, path: str, body: dict[str, str], *, within_s: float = exchange.STOP_S
    ) -> Any:
        """A small call beside the answer; its `data`. Raises EndpointError."""
        async with http.send(
            self._client,
            "POST",
            self._base + path,
            json={"appId": self._app_id, **body},
            headers=http.bearer(self._config),
            config=dataclasses.replace(self._config, timeout_s=within_s),
        ) as response:
            answer = as_object(await http.document(response))
            if response.is_error or answer.get("code") not in (200, None):
                raise classify(response.status_code, answer)
            return answer.get("data")


def _new_chat_id(prompt: Prompt) -> str:
    """One chat id is one thread: never the same one again once the old one is forgotten."""
    return f"{prompt.thread[: MAX_CHAT_ID - 16] or 'kefu'}-{uuid.uuid4().hex[:12]}"
