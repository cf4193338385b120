"""Dify: chat, agent, chatflow and workflow apps.  https://docs.dify.ai/api-reference"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from ai_gateway.backends import digest, exchange, http
from ai_gateway.backends.dify_errors import classify
from ai_gateway.backends.dify_reply import DifyReply
from ai_gateway.backends.reply import as_object, strings
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, EndpointConfig, File, Prompt, Tell

HOSTED = "https://api.dify.ai/v1"
CHAT, WORKFLOW = "/chat-messages", "/workflows/run"
SUGGESTED_S = 3.0  # the answer is whole by then, and waits for its suggestions
_KINDS = ("image", "audio", "video")  # of files; all else is a document


class Dify:
    """POST <base_url>/chat-messages, or /workflows/run, always as a stream.

    Options: `app_mode` (`chat`, `agent`, `chatflow`; `workflow`), `inputs` (the app's form),
    `query_input` and `history_input` (the names of a workflow's inputs for the question and for
    what was said before), `suggested` (ask for suggested questions), `workflow_id` (a pinned
    version), and those of `reply` and `meaning`.
    """

    name: ClassVar[str] = "dify"
    required: ClassVar[tuple[str, ...]] = ("api_key",)

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        self._config, self._client = config, client
        self._base = http.root(config.base_url or HOSTED, CHAT, WORKFLOW)
        self._is_workflow = config.options.get("app_mode") == "workflow"
        self._suggests = bool(config.options.get("suggested", True)) and not self._is_workflow

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        if self._is_workflow:
            return await self._ask(WORKFLOW, self._run(prompt), tell)
        memory = prompt.memory
        try:
            answer = await self._ask(CHAT, self._message(prompt, memory), tell)
        except EndpointError as error:
            if error.kind != ErrorKind.CONVERSATION_NOT_FOUND or not memory.get("conversation_id"):
                raise
            answer = await self._ask(CHAT, self._message(prompt, {}), tell)
        return await self._rounded_off(answer, _user(prompt))

    async def feedback(self, memory: Mapping[str, str], message_id: str, good: bool | None) -> None:
        """👍 (True), 👎 (False), or neither. Raises EndpointError."""
        rating = None if good is None else "like" if good else "dislike"
        body = {"rating": rating, "user": memory.get("user") or "kefu"}
        await self._call("POST", f"/messages/{message_id}/feedbacks", json=body)

    async def _ask(self, path: str, body: dict[str, Any], tell: Tell) -> Answer:
        async def stop(known: Answer) -> None:
            if known.task_id:
                base = "/workflows/tasks" if path == WORKFLOW else path
                await self._call(
                    "POST", f"{base}/{known.task_id}/stop", json={"user": body["user"]}
                )

        post = http.post(
            self._client,
            self._base + path,
            json=body,
            headers=http.bearer(self._config),
            config=self._config,
        )
        return await exchange.ask(post, self._reply, tell, stop)

    def _reply(self, response: httpx.Response) -> DifyReply:
        return DifyReply(
            response.status_code,
            self._config.options,
            retry_after_s=http.retry_after_s(response.headers),
        )

    def _message(self, prompt: Prompt, memory: Mapping[str, str]) -> dict[str, Any]:
        known = memory if memory.get("conversation_id") else {}
        body = {
            "query": digest.in_front_of(prompt.text, digest.unheard(prompt, known)),
            "conversation_id": known.get("conversation_id", ""),
            "auto_generate_name": False,  # an extra model call; we have our own titles
            **self._common(prompt, self._inputs()),
        }
        if version := self._config.options.get("workflow_id"):
            body["workflow_id"] = str(version)
        return body

    def _run(self, prompt: Prompt) -> dict[str, Any]:
        options = self._config.options
        inputs = {**self._inputs(), str(options.get("query_input", "query")): prompt.text}
        if name := options.get("history_input"):
            inputs[str(name)] = digest.told(digest.unheard(prompt, {}))
        return self._common(prompt, inputs)

    def _common(self, prompt: Prompt, inputs: dict[str, Any]) -> dict[str, Any]:
        """`inputs` and `user` are required, also where there is nothing in them."""
        body = {"inputs": inputs, "response_mode": "streaming", "user": _user(prompt)}
        return {**body, "files": [_file(f) for f in prompt.files]} if prompt.files else body

    def _inputs(self) -> dict[str, Any]:
        inputs = self._config.options.get("inputs")
        return dict(inputs) if isinstance(inputs, dict) else {}

    async def _rounded_off(self, answer: Answer, user: str) -> Answer:
        """The answer with what is to be remembered, and with the questions that may follow."""
        memory = {"user": user, "said": digest.fingerprint(answer.text)}
        if answer.conversation_id:
            memory["conversation_id"] = answer.conversation_id
        suggested = await self._suggested(answer, user)
        return dataclasses.replace(answer, memory=memory, suggested=suggested)

    async def _suggested(self, answer: Answer, user: str) -> tuple[str, ...]:
        if not self._suggests or not answer.message_id or answer.finish != "stop":
            return ()
        try:
            body = await self._call(
                "GET",
                f"/messages/{answer.message_id}/suggested",
                params={"user": user},
                within_s=SUGGESTED_S,
            )
        except EndpointError as error:
            # 400: the app has them switched off, so don't ask again.
            self._suggests = error.kind != ErrorKind.INVALID_REQUEST
            return ()
        return strings(as_object(body).get("data"))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        within_s: float = exchange.STOP_S,
    ) -> Any:
        """A small call beside the answer; its JSON. Raises EndpointError."""
        async with http.send(
            self._client,
            method,
            self._base + path,
            json=json,
            params=params,
            headers=http.bearer(self._config),
            config=dataclasses.replace(self._config, timeout_s=within_s),
        ) as response:
            body = await http.document(response)
            if response.is_error:
                raise classify(response.status_code, body)
            return body


def _user(prompt: Prompt) -> str:
    """It scopes a conversation: one that runs keeps the name that it began with."""
    return prompt.memory.get("user") or prompt.user or "kefu"


def _file(file: File) -> dict[str, str]:
    kind = file.content_type.partition("/")[0]
    kind = kind if kind in _KINDS else "document"
    return {"type": kind, "transfer_method": "remote_url", "url": file.url}
