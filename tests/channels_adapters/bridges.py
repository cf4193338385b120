"""A bridge for tests: the documentation's example, a webhook of it, and calls of our doors."""

import importlib.util
import secrets
import time
from pathlib import Path
from typing import Any

from django.test import Client

from tests.channels_adapters import story
from tests.fakes.raw_server import RawRequest, RawServer
from tests.fakes.server import Behaviour, as_json, hang_up, respond
from tickets.models import Inbox

ROOT = Path(__file__).parents[2]
SECRET = "bridge-secret-0123456789"
_spec = importlib.util.spec_from_file_location("example", ROOT / "docs/examples/bridge.py")
assert _spec
assert _spec.loader
example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(example)

LILEI = {"id": "u-1", "name": "李雷"}


class FakeBridge(RawServer):
    """A bridge's webhook, with the example's own check; and files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.taken: dict[str, dict[str, Any]] = {}
        self.will()

    def behaviour_for(self, request: RawRequest) -> Behaviour:
        if request.path == "/a.png":
            return respond(story.png(), 200, "image/png")
        client = example.Bridge("http://x", "x", SECRET)
        if not client.verify(request.headers, request.query_string, request.raw):
            return as_json({"code": "bad_signature"}, 401)
        return self._behaviours.pop(0) if self._behaviours else self.take(request)

    def take(self, request: RawRequest) -> Behaviour:
        assert request.headers["idempotency-key"] == request.body["id"]
        self.taken.setdefault(request.body["id"], request.body)
        return as_json({"platform_id": f"dy-{request.body['id']}"})

    def take_and_hang_up(self) -> Behaviour:
        async def behave(request: RawRequest, writer: Any) -> None:
            self.take(request)
            await hang_up()(request, writer)

        return behave


def signed(
    body: bytes = b"", *, method: str = "POST", query: str = "", age_s: float = 0, **values: str
) -> dict[str, str]:
    stamp, nonce = str(int(time.time() - age_s)), secrets.token_urlsafe(16)
    parts = {"timestamp": stamp, "nonce": nonce, "method": method, "query": query, **values}
    return {
        "Kefu-Timestamp": parts["timestamp"],
        "Kefu-Nonce": parts["nonce"],
        "Kefu-Signature": example.sign(SECRET, "in", body=body, **parts),
    }


def post(inbox: Inbox, document: Any, headers: dict[str, str] | None = None) -> Any:
    body = story.jsoned(document)
    return story.knock(inbox, body, headers or signed(body))


def say(inbox: Inbox, text: str = "在吗", source_id: str = "dy-1", **more: Any) -> Any:
    message = {"source_id": source_id, "from": LILEI, "text": text, **more}
    return post(inbox, {"messages": [message]})


def pull(inbox: Inbox, query: str = "", headers: dict[str, str] | None = None) -> Any:
    headers = headers or signed(method="GET", query=query)
    path = f"/hooks/{inbox.key}/outbox/"
    return Client().get(f"{path}?{query}" if query else path, headers=headers)


def pulled(inbox: Inbox) -> list[dict[str, Any]]:
    return pull(inbox).json()["messages"]


def report(inbox: Inbox, answer_id: str, status: str, **more: str) -> Any:
    response = post(inbox, {"receipts": [{"id": answer_id, "status": status, **more}]})
    story.drain()
    return response
