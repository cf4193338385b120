"""For the tests of adapters, ours and other people's.

class TestMine(AdapterContract):
    adapter_class = Mine
    credentials = {"secret": "…"}
    good = HookRequest("POST", headers={…}, body=b"…")     # holds one message of a person
    unknown = {"type": "something new"}                     # a payload nobody has heard of
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from channels_adapters.capabilities import Capabilities, MediaRule, WindowRule
from channels_adapters.errors import HookRefused, Reason
from channels_adapters.protocol import Account, Event, HttpAdapter, Outbound
from channels_adapters.splitting import numbered
from channels_adapters.wire import (
    Action,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Token,
    Verified,
)
from tickets.envelopes import InboundMessage, Media, MessageType, Sender


class FakeChannel(HttpAdapter):
    """A platform of the simplest kind: a signed body in, a bearer token and JSON out.

    A hook's body is `{"messages": [{"id", "from", "text"}], "events": [{"id", "kind", "data"}]}`,
    signed by HMAC-SHA256 in `X-Fake-Signature`. It answers `{"id"}`, or `{"error": <an action>}`
    with `retry_after_s` and `code` where it likes.
    """

    channel: ClassVar[str] = "fake"
    required: ClassVar[tuple[str, ...]] = ("secret",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=200, media={MessageType.IMAGE: MediaRule(1024 * 1024)}, typing=True
    )

    def verify(self, request: HookRequest, *, now: datetime) -> Verified:
        given = request.header("x-fake-signature")
        if not given:
            raise HookRefused(Reason.MISSING_SIGNATURE)
        if not hmac.compare_digest(given, sign(request.body, self.account.credential("secret"))):
            raise HookRefused(Reason.BAD_SIGNATURE)
        return Verified(json.loads(request.body))

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        messages = [self._message(one) for one in payload.get("messages", ())]
        events = [
            Event(one["kind"], one["id"], one.get("from", ""), one.get("data", {}))
            for one in payload.get("events", ())
        ]
        return [*messages, *events]

    def _message(self, said: Mapping[str, Any]) -> InboundMessage:
        rule = self.capabilities.windows.get("message")
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=said["id"],
            text=said["text"],
            type=MessageType(said.get("type", "text")),
            media=tuple(
                Media(key, MessageType(said.get("type", "image"))) for key in said.get("files", ())
            ),
            sender=Sender(said["from"], verified=True),
            terms=rule.terms("message", datetime.now(UTC)) if rule else None,
        )

    def token_request(self) -> HttpRequest | None:
        body = {"secret": self.account.credential("secret")}
        return HttpRequest("POST", f"{self.api}/token", json=body)

    def read_token(self, response: HttpResponse) -> Token | Result:
        said = response.document
        if "token" not in said:
            action = Action.RETRY if response.status >= 500 else Action.PERMANENT
            return Result(action, code=str(response.status))
        return Token(said["token"], said["expires_in"])

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        body = {"to": outbound.to, "text": outbound.text, "key": outbound.key}
        headers = {"Authorization": f"Bearer {token}"}
        return HttpRequest("POST", f"{self.api}/send", headers, json=body)

    def typing_request(self, to: str, thread: str, token: str) -> HttpRequest | None:
        headers = {"Authorization": f"Bearer {token}"}
        return HttpRequest("POST", f"{self.api}/typing", headers, json={"to": to})

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        headers = {"Authorization": f"Bearer {token}"}
        return HttpRequest("GET", f"{self.api}/people/{address}", headers)

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        return response.document

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        headers = {"Authorization": f"Bearer {token}"}
        return HttpRequest("GET", f"{self.api}/files/{media.key}", headers)

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        if response.status != 200:
            return self.classify(response)
        return Fetched(response.body, response.headers.get("content-type", ""))

    def classify(self, response: HttpResponse) -> Result:
        said = response.document
        if "id" in said:
            return Result(Action.OK, platform_id=said["id"])
        return Result(
            Action(said.get("error", "retry")),
            retry_after_s=said.get("retry_after_s"),
            code=said.get("code", str(response.status)),
        )


class IdempotentChannel(FakeChannel):
    """The same, of a platform that knows a repetition by our key."""

    channel: ClassVar[str] = "fake_idempotent"
    capabilities: ClassVar[Capabilities] = replace(FakeChannel.capabilities, idempotent=True)


class WindowedChannel(FakeChannel):
    """The same, where five messages may follow each of the person's, for two days."""

    channel: ClassVar[str] = "fake_windowed"
    capabilities: ClassVar[Capabilities] = replace(
        FakeChannel.capabilities,
        windows={"message": WindowRule(172_800, 5), "menu_click": WindowRule(60, 3)},
    )


def sign(body: bytes, secret: str) -> str:
    """The fake platform's signature."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post_webhook(client: Any, inbox: Any, payload: Mapping[str, Any]) -> Any:
    """What the fake platform does: a signed POST through the product's door."""
    body = json.dumps(payload).encode()
    return client.post(
        f"/hooks/{inbox.key}/",
        body,
        content_type="application/json",
        headers={"X-Fake-Signature": sign(body, inbox.credentials["secret"])},
    )


class AdapterContract:
    """What holds for every adapter."""

    adapter_class: ClassVar[type[HttpAdapter]]
    credentials: ClassVar[Mapping[str, str]] = {}
    settings: ClassVar[Mapping[str, Any]] = {}
    good: ClassVar[HookRequest]
    unknown: ClassVar[Any]
    now: ClassVar[datetime] = datetime(2026, 11, 23, 2, 13, 20, tzinfo=UTC)

    def adapter(self) -> HttpAdapter:
        channel = self.adapter_class.channel
        return self.adapter_class(
            Account(1, "tested", channel, dict(self.credentials), dict(self.settings))
        )

    def payload(self) -> Any:
        verified = self.adapter().verify(self.good, now=self.now)
        assert isinstance(verified, Verified)
        return verified.payload

    def test_a_good_request_holds_one_message(self) -> None:
        [message] = self.adapter().parse(self.payload())

        assert isinstance(message, InboundMessage)
        assert message.source_id
        assert message.sender is not None
        assert message.sender.external_id

    def test_the_same_payload_gives_the_same_source_id(self) -> None:
        first, second = (self.adapter().parse(self.payload())[0] for _ in range(2))

        assert first.source_id == second.source_id

    def test_a_request_without_headers_is_refused(self) -> None:
        bare = replace(self.good, headers={}, query_string="")

        with pytest.raises(HookRefused):
            self.adapter().verify(bare, now=self.now)

    def test_a_secret_of_somebody_else_is_refused(self) -> None:
        stranger = {name: value[::-1] for name, value in self.credentials.items()}
        adapter = self.adapter_class(Account(1, "tested", self.adapter_class.channel, stranger))

        with pytest.raises(HookRefused):
            adapter.verify(self.good, now=self.now)

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"<xml>"])
    def test_a_broken_body_is_refused_or_holds_nothing(self, body: bytes) -> None:
        try:
            outcome = self.adapter().verify(replace(self.good, body=body), now=self.now)
        except HookRefused:
            return
        assert isinstance(outcome, Verified)

    def test_the_unknown_gives_no_message_and_no_error(self) -> None:
        parsed = self.adapter().parse(self.unknown)

        assert [one for one in parsed if isinstance(one, InboundMessage)] == []

    def test_long_texts_are_cut_below_the_limit(self) -> None:
        capabilities = self.adapter_class.capabilities
        text = "好的，您的包裹已经发出。" * capabilities.text_limit
        pieces = numbered(text, capabilities.text_limit, capabilities.text_unit)

        lengths = [capabilities.text_unit.length(piece) for piece in pieces]
        assert max(lengths) <= capabilities.text_limit

    def test_an_answer_that_is_no_json_is_tried_again_or_given_up(self) -> None:
        page = HttpResponse(502, {}, b"<html>Bad Gateway</html>")

        stopped = (Action.RETRY, Action.PERMANENT, Action.UNKNOWN)
        assert self.adapter().classify(page).action in stopped

    def test_no_log_holds_a_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            self.adapter().parse(self.payload())

        for secret in self.credentials.values():
            assert len(secret) < 8 or secret not in caplog.text
