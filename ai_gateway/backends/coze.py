"""Coze (扣子), hosted and coze-studio: bots, chatflows and workflows.

https://www.coze.cn/open/docs/developer_guides/chat_v3
"""

import asyncio
import dataclasses
import json as codec
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from ai_gateway.backends import coze_oauth, digest, exchange, http
from ai_gateway.backends.coze_errors import classify
from ai_gateway.backends.coze_reply import CozeReply
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Role, Tell, Turn

HOSTED = "https://api.coze.cn"
CHAT, CHATFLOW = "/v3/chat", "/v1/workflows/chat"
RUN, RUN_STREAM, RESUME = (f"/v1/workflow/{end}" for end in ("run", "stream_run", "stream_resume"))
POLL_S = 1.0  # Coze asks not to be polled more often

_ROLES = {Role.CONTACT: "user", Role.HOUSE: "assistant"}


class Coze:
    """A bot (`bot_id`), a workflow (`workflow_id`), or with `mode: chatflow` a chatflow.

    Options: `bot_id`, `workflow_id`, `app_id`, `mode` (`chat`, `workflow`, `chatflow`), `stream`
    (false: create, poll, list), `auto_save_history` (false: we send the history ourselves),
    `custom_variables`, `parameters`, `query_input` (a workflow's input for the question),
    `oauth_app_id`, `oauth_key_id`, `oauth_audience` (the key is then a private key; `coze_oauth`),
    and those of `reply` and `meaning`.
    """

    name: ClassVar[str] = "coze"
    required: ClassVar[tuple[str, ...]] = ("api_key", "options.bot_id|options.workflow_id")

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        self._config, self._client = config, client
        options = config.options
        self._base = http.root(config.base_url or HOSTED, CHAT, CHATFLOW, RUN, RUN_STREAM)
        self._auth = coze_oauth.of(config, client, self._base)
        self._headers = {} if self._auth else http.bearer(config)
        self._mode = str(options.get("mode") or ("chat" if options.get("bot_id") else "workflow"))
        is_flow = self._mode == "chatflow"  # always streams, always keeps
        self._streams = is_flow or options.get("stream", True) is not False
        # Without a stream Coze insists on keeping the history (4007).
        forgets = options.get("auto_save_history", True) is False and self._streams
        self._keeps = is_flow or not forgets

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        if self._mode == "workflow":
            return await self._run(prompt, tell)
        memory = prompt.memory if self._keeps else {}
        conversation_id = memory.get("conversation_id", "")
        try:
            return await self._chat(prompt, conversation_id, tell)
        except EndpointError as error:
            if error.kind != ErrorKind.CONVERSATION_NOT_FOUND or not conversation_id:
                raise
            return await self._chat(prompt, "", tell)

    async def feedback(self, memory: Mapping[str, str], message_id: str, good: bool | None) -> None:
        """👍 (True), 👎 (False), or neither. Raises EndpointError."""
        conversation_id = memory.get("conversation_id", "")
        if not conversation_id:
            raise EndpointError(ErrorKind.INVALID_REQUEST, "no_conversation")
        path = f"/v1/conversations/{conversation_id}/messages/{message_id}/feedback"
        if good is None:
            await self._call("DELETE", path)
        else:
            await self._call("POST", path, json={"feedback_type": "like" if good else "unlike"})

    # Bots and chatflows ---------------------------------------------------------------------

    async def _chat(self, prompt: Prompt, conversation_id: str, tell: Tell) -> Answer:
        where = {"conversation_id": conversation_id} if conversation_id else {}
        messages = self._messages(prompt, conversation_id)
        if self._mode == "chatflow":  # the conversation stands in the body
            body = {**self._flow(messages), **where}
            answer = await self._ask(CHATFLOW, body, tell, conversation_id)
        else:
            body = self._bot(messages, prompt.user)
            answer = await self._ask(CHAT, body, tell, conversation_id, params=where)
        if answer.finish == "pending" or not (self._streams or answer.text):
            answer = await self._polled(answer, tell)
        return dataclasses.replace(answer, memory=self._to_keep(answer))

    def _bot(self, messages: list[dict[str, str]], user: str) -> dict[str, Any]:
        options = self._config.options
        return {
            "stream": self._streams,
            "user_id": user or "kefu",
            "auto_save_history": self._keeps,
            "additional_messages": messages,
            **self._ids("bot_id"),
            **{n: options[n] for n in ("custom_variables", "parameters") if options.get(n)},
        }

    def _flow(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        parameters = self._config.options.get("parameters") or {}
        ids = self._ids("workflow_id", "bot_id", "app_id")
        return {"additional_messages": messages, "parameters": parameters, **ids}

    def _messages(self, prompt: Prompt, conversation_id: str) -> list[dict[str, str]]:
        """What Coze has not heard, and the question, which stands last."""
        known = prompt.memory if conversation_id else {}
        turns = digest.unheard(prompt, known)
        return [*map(_said, turns), {**_said(Turn(Role.CONTACT, prompt.text)), **_content(prompt)}]

    def _to_keep(self, answer: Answer) -> dict[str, str]:
        if not self._keeps or not answer.conversation_id:
            return {}
        said = digest.fingerprint(answer.text)
        return {"conversation_id": answer.conversation_id, "said": said}

    async def _polled(self, created: Answer, tell: Tell) -> Answer:
        """Create, poll, list: one call with three points where it may fail."""
        ids = {"conversation_id": created.conversation_id or "", "chat_id": created.task_id or ""}
        async with exchange.stopping(lambda: created, self._stop):
            try:
                async with http.deadline(self._config.timeout_s):
                    chat = await self._final(created, ids)
                    if chat.finish != "stop":
                        return chat
                    said = await self._get("/v3/chat/message/list", ids)
            except EndpointError as error:
                error.partial = error.partial or created
                raise
        tell(said.text)
        return dataclasses.replace(
            said,
            usage=chat.usage,
            conversation_id=created.conversation_id,
            task_id=created.task_id,
        )

    async def _final(self, chat: Answer, ids: Mapping[str, str]) -> Answer:
        while chat.finish == "pending":
            await asyncio.sleep(POLL_S)
            chat = await self._get("/v3/chat/retrieve", ids)
        return chat

    async def _get(self, path: str, params: Mapping[str, str]) -> Answer:
        get = http.send(
            self._client,
            "GET",
            self._base + path,
            params=params,
            headers=self._headers,
            auth=self._auth,
            config=self._config,
        )
        return await exchange.ask(get, self._reply, lambda _text: None)

    async def _stop(self, known: Answer) -> None:
        if known.conversation_id and known.task_id:
            ids = {"conversation_id": known.conversation_id, "chat_id": known.task_id}
            await self._call("POST", "/v3/chat/cancel", json=ids)

    # Workflows ------------------------------------------------------------------------------

    async def _run(self, prompt: Prompt, tell: Tell) -> Answer:
        """Run the workflow; one that had asked something goes on with what was said to it."""
        event_id = prompt.memory.get("event_id")
        body = self._ids("workflow_id", "bot_id", "app_id")
        if event_id:
            kind = prompt.memory.get("interrupt_type", "")
            body = {
                "workflow_id": body.get("workflow_id"),
                "event_id": event_id,
                "resume_data": prompt.text,
                "interrupt_type": int(kind) if kind.isdecimal() else kind,
            }
            return await self._step(RESUME, body, tell)
        given = self._config.options.get("parameters")
        name = str(self._config.options.get("query_input", "input"))
        body["parameters"] = {**(given if isinstance(given, dict) else {}), name: prompt.text}
        return await self._step(RUN_STREAM if self._streams else RUN, body, tell)

    async def _step(self, path: str, body: dict[str, Any], tell: Tell) -> Answer:
        replies: list[CozeReply] = []

        def reply_to(response: httpx.Response) -> CozeReply:
            replies.append(self._reply(response))
            return replies[-1]

        answer = await exchange.ask(self._post(path, body), reply_to, tell)
        return dataclasses.replace(answer, memory=replies[-1].interrupt)

    # The wire -------------------------------------------------------------------------------

    async def _ask(
        self,
        path: str,
        body: dict[str, Any],
        tell: Tell,
        conversation_id: str,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        def reply_to(response: httpx.Response) -> CozeReply:
            return self._reply(response, conversation_id)

        return await exchange.ask(self._post(path, body, params), reply_to, tell, self._stop)

    def _post(
        self, path: str, body: dict[str, Any], params: Mapping[str, str] | None = None
    ) -> exchange.Request:
        return http.post(
            self._client,
            self._base + path,
            json=body,
            params=params,
            headers=self._headers,
            auth=self._auth,
            config=self._config,
        )

    def _reply(self, response: httpx.Response, conversation_id: str = "") -> CozeReply:
        return CozeReply(
            response.status_code,
            self._config.options,
            conversation_id=conversation_id,
            retry_after_s=http.retry_after_s(response.headers),
        )

    def _ids(self, *names: str) -> dict[str, Any]:
        """Strings of 19 digits, also where a file has them as numbers."""
        options = self._config.options
        return {name: str(options[name]) for name in names if options.get(name)}

    async def _call(self, method: str, path: str, *, json: Any = None) -> None:
        """A small call beside the answer. Raises EndpointError."""
        async with http.send(
            self._client,
            method,
            self._base + path,
            json=json,
            headers=self._headers,
            auth=self._auth,
            config=dataclasses.replace(self._config, timeout_s=exchange.STOP_S),
        ) as response:
            body = await http.document(response)
            code = body.get("code") if isinstance(body, dict) else None
            if response.is_error or code:
                raise classify(response.status_code, body)


def _said(turn: Turn) -> dict[str, str]:
    return {
        "role": _ROLES[turn.role],
        "type": "question" if turn.role == Role.CONTACT else "answer",
        "content": turn.text,
        "content_type": "text",
    }


def _content(prompt: Prompt) -> dict[str, str]:
    """Files go along as a string of JSON, together with the text: a picture alone is refused."""
    if not prompt.files:
        return {}
    parts: list[dict[str, str]] = [{"type": "text", "text": prompt.text}]
    parts += [{"type": "image" if f.is_image else "file", "file_url": f.url} for f in prompt.files]
    return {
        "content": codec.dumps(parts, ensure_ascii=False),
        "content_type": "object_string",
    }
