"""The visitor's socket, contract §4: a lean ASGI application under Channels' routing.

It never touches the database in its loop: messages go to the group commit (`writer`),
everything else to a thread, one call for each frame. Why it is no Channels consumer:
docs/benchmarks.md.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.conf import settings

from channels_adapters.webchat import frames, session
from channels_adapters.webchat.catchup import watch
from channels_adapters.webchat.frames import BadFrame
from channels_adapters.webchat.limits import RateLimits
from channels_adapters.webchat.writer import writer
from tickets import bus, dbthreads, metrics
from tickets.envelopes import InboundMessage, Received
from tickets.errors import Blocked
from tickets.events import TypingStarted
from tickets.models import Inbox
from tickets.net import client_ip, network_of
from tickets.outgoing import Outgoing, Send
from tickets.payloads import iso
from tickets.push import Subscription, contact_group

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 10.0
MAX_INVALID_IN_A_ROW = 10
MALFORMED, FORBIDDEN_ORIGIN, NO_INBOX, NO_HELLO, TOO_BIG = 4400, 4403, 4404, 4408, 1009
RESTART = 1012

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
_in_thread = dbthreads.DatabaseThreads(6, "visitors").run
_limits = RateLimits()


class Closed(Exception):
    """The client is gone, or was sent away."""


async def visitor_application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application of `/ws/chat/<inbox key>/`."""
    await VisitorSocket(scope, receive, send).run()


async def nowhere(_scope: Scope, receive: Receive, send: Send) -> None:
    """What is no inbox's key: the same answer as to a key that no inbox has."""
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": NO_INBOX})


class VisitorSocket:
    """One open socket of a visitor."""

    __slots__ = (
        "_inbox",
        "_invalid",
        "_network",
        "_out",
        "_page",
        "_receive",
        "_scope",
        "_seen",
        "_sent",
        "_subscription",
        "_visitor",
        "_writer",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._out = Outgoing(send)
        self._writer = writer()
        self._invalid = 0
        # Client ids whose echo this socket must not get; few, and a list is smaller than a set.
        self._sent: list[str] = []
        self._subscription: Subscription | None = None
        self._seen = ("", 0)  # the conversation's id and the highest number that was sent
        self._page: dict[str, str] = {}

    async def run(self) -> None:
        await self._receive()  # websocket.connect
        self._out.accept()
        metrics.ws_connections.labels("visitor").inc()
        try:
            await self._admit()
            await self._greet()
            while True:
                await self._handle(await self._next_text())
        except Closed:
            pass
        finally:
            metrics.ws_connections.labels("visitor").dec()
            self._leave()
            await self._out.drained()

    # Coming in -----------------------------------------------------------------------------

    async def _admit(self) -> None:
        """Only to inboxes that exist, only from origins that may."""
        key = self._scope["url_route"]["kwargs"]["inbox_key"]
        try:
            inbox = await _in_thread(session.load_inbox, key)
        except dbthreads.AWAY:
            await self._sorry(RESTART)
        if inbox is None:
            await self._sorry(NO_INBOX)
        if not self._may_come(inbox):
            await self._sorry(FORBIDDEN_ORIGIN)
        self._inbox: Inbox = inbox
        peer = (self._scope.get("client") or ("",))[0]
        forwarded = self._headers().get(b"x-forwarded-for", "")
        self._network = network_of(client_ip(peer, forwarded, settings.TRUSTED_PROXIES))

    def _headers(self) -> dict[bytes, str]:
        return {name: value.decode("latin-1") for name, value in self._scope["headers"]}

    def _may_come(self, inbox: Inbox) -> bool:
        headers = self._headers()
        return _origin_allowed(inbox, headers.get(b"origin"), headers.get(b"host", ""))

    async def _sorry(self, code: int) -> NoReturn:
        self._out.close(code)
        raise Closed

    async def _greet(self) -> None:
        """Wait for the hello, and answer it with `ready`."""
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                hello = await self._hello()
        except TimeoutError:
            await self._sorry(NO_HELLO)
        self._page = hello.page
        await self._say_hello(hello)

    async def _hello(self) -> frames.Hello:
        while True:
            text = await self._next_text()
            try:
                kind, frame = frames.parse(text)
                if kind != "hello":
                    raise BadFrame("hello comes first", client_id=_client_id(frame))
                return frames.hello(frame)
            except BadFrame as bad:
                self._refuse(bad)

    async def _say_hello(self, hello: frames.Hello) -> None:
        try:
            greeting: session.Greeting = await _in_thread(session.greet, self._inbox, hello)
            self._leave()
            self._visitor = greeting.visitor
        except dbthreads.AWAY:
            await self._sorry(RESTART)
        if greeting.bad_identity:
            self._error("bad_identity", greeting.bad_identity)
        self._out.push(greeting.ready)
        conversation = greeting.ready["conversation"]
        self._saw(conversation["id"] if conversation else "", greeting.last_shown)
        self._join()

    def _join(self) -> None:
        group = contact_group(self._visitor.contact_id)
        self._subscription = Subscription(group, self._pushed)
        watch().add(self, self._visitor.contact_id)

    def _leave(self) -> None:
        if self._subscription:
            self._subscription.end()
            watch().remove(self)
            self._subscription = None

    # What it has been told -------------------------------------------------------------------

    @property
    def seen(self) -> tuple[str, int]:
        """The conversation's id and the highest number that this socket was sent."""
        return self._seen

    def _saw(self, conversation: str, seq: int) -> None:
        known, highest = self._seen
        self._seen = (conversation, max(seq, highest) if conversation == known else seq)

    def catch_up(self, message_frames: list[dict[str, Any]]) -> None:
        """What the channel layer lost on the way here."""
        for frame in message_frames:
            self._pushed({"type": "visitor.frame", "frame": frame})

    @property
    def inbox_id(self) -> int:
        return self._inbox.pk

    def inbox_is(self, inbox: Inbox | None) -> None:
        """Its settings may have changed since the socket was opened; None: it takes nobody now."""
        if inbox is None:
            self._out.close(NO_INBOX)
        elif not self._may_come(inbox):
            self._out.close(FORBIDDEN_ORIGIN)
        else:
            self._inbox = inbox

    # What the client sends ------------------------------------------------------------------

    async def _next_text(self) -> str | None:
        event = await self._receive()
        if event["type"] == "websocket.disconnect" or self._out.close_code is not None:
            raise Closed
        text: str | None = event.get("text")
        if (
            text is not None
            and len(text) > frames.MAX_FRAME_BYTES // 4
            and (len(text.encode("utf-8", "surrogatepass")) > frames.MAX_FRAME_BYTES)
        ):
            await self._sorry(TOO_BIG)
        return text

    async def _handle(self, text: str | None) -> None:
        try:
            kind, frame = frames.parse(text)
            handler = _HANDLERS.get(kind)
            if handler is None:
                raise BadFrame(f"unknown type {kind[:40]!r}", client_id=_client_id(frame))
            await handler(self, frame)
            self._invalid = 0
        except BadFrame as bad:
            self._refuse(bad)
        except dbthreads.AWAY:
            self._error("unavailable", "the database is away; try again")
        except Closed:
            raise
        except Exception:  # an outermost edge: no frame may end the process
            log.exception("a visitor's frame failed")
            self._error("unavailable", "something went wrong here; try again")

    def _refuse(self, bad: BadFrame) -> None:
        self._error(bad.code, bad.detail, client_id=bad.client_id)
        if bad.code == "invalid":
            self._invalid += 1
        if self._invalid >= MAX_INVALID_IN_A_ROW:
            self._out.close(MALFORMED)
            raise Closed

    def _error(
        self,
        code: str,
        detail: str,
        *,
        client_id: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self._out.push(
            {
                "type": "error",
                "code": code,
                "detail": detail,
                "client_id": client_id,
                "retry_after_s": retry_after_s,
            }
        )

    async def _on_hello(self, frame: dict[str, Any]) -> None:
        """Again: the site's user logged in or out, without a new socket."""
        await self._say_hello(frames.hello(frame))

    async def _on_message(self, frame: dict[str, Any]) -> None:
        written = frames.message(frame, text_limit=self._inbox.setting("text_limit"))
        limits = self._inbox.setting("rate_limit")
        wait_s = _limits.retry_after_s(
            (("visitor", self._inbox.pk, str(self._visitor.identity_id)), limits["visitor"]),
            (("network", self._inbox.pk, self._network), limits["network"]),
        )
        if wait_s is not None:
            self._error(
                "rate_limited",
                "too many messages in a minute",
                client_id=written.client_id,
                retry_after_s=wait_s,
            )
            return
        inbound = InboundMessage(
            inbox_id=self._inbox.pk,
            identity_id=self._visitor.identity_id,
            text=written.text,
            client_id=written.client_id,
            attachment_ids=written.attachments,
            reply_to=written.reply_to,
            page=self._page,
        )
        self._sent.append(written.client_id)
        started = time.monotonic()

        def answered(received: Received) -> None:
            metrics.message_latency.observe(time.monotonic() - started)
            self._answered(written.client_id, received)

        if not self._writer.submit(inbound, answered):
            self._forget_sent(written.client_id)
            self._error("unavailable", "too much at once; try again", client_id=written.client_id)

    def _answered(self, client_id: str, received: Received) -> None:
        """The commit happened, or did not."""
        if received.error:
            self._forget_sent(client_id)
            self._error(received.error, _REFUSALS[received.error], client_id=client_id)
            return
        if received.duplicate:
            self._forget_sent(client_id)
        else:
            self._saw(str(received.conversation_public_id), received.seq)
        self._out.push(
            {
                "type": "ack",
                "client_id": client_id,
                "id": str(received.public_id),
                "conversation": str(received.conversation_public_id),
                "seq": received.seq,
                "skipped": list(received.skipped),
                "created_at": iso(received.created_at),
            }
        )

    def _forget_sent(self, client_id: str) -> None:
        if client_id in self._sent:
            self._sent.remove(client_id)

    async def _on_typing(self, frame: dict[str, Any]) -> None:
        on = frames.flag(frame, "on")
        text = frames.typed_text(frame) if self._inbox.setting("typing_preview") else ""
        conversation = await _in_thread(session.current, self._visitor.contact_id)
        if conversation and conversation.is_live:
            hint = TypingStarted(conversation.pk, self._visitor.contact_id, True, on, text)
            await _in_thread(bus.hint, hint)

    async def _on_read(self, frame: dict[str, Any]) -> None:
        await _in_thread(session.mark_read, self._visitor, frames.seq(frame))

    async def _on_handoff(self, frame: dict[str, Any]) -> None:
        try:
            status = await _in_thread(session.hand_off, self._inbox, self._visitor, self._page)
        except Blocked:
            self._error("blocked", _REFUSALS["blocked"])
            return
        if status:
            self._out.push(status)

    async def _on_rate(self, frame: dict[str, Any]) -> None:
        rated = frames.rating(frame)
        if not await _in_thread(session.rate, self._visitor, rated):
            raise BadFrame("there is nothing to rate")
        self._out.push({"type": "rated", "score": rated.score})

    async def _on_fetch(self, frame: dict[str, Any]) -> None:
        self._out.push(await _in_thread(session.fetch, self._visitor, frames.fetch(frame)))

    async def _on_ping(self, frame: dict[str, Any]) -> None:
        self._out.push({"type": "pong"})

    # What others tell it --------------------------------------------------------------------

    def _pushed(self, message: dict[str, Any]) -> None:
        """From the channel layer: a frame for the contact, or the word to come back."""
        if message["type"] == "visitor.moved":
            self._out.close(RESTART)
            return
        frame = message["frame"]
        if frame["type"] == "message":
            said = frame["message"]
            self._saw(said["conversation"], said["seq"])
            if said["client_id"] in self._sent:
                self._forget_sent(said["client_id"])  # the ack says it
                return
        self._out.push(frame)


_HANDLERS: dict[str, Callable[[VisitorSocket, dict[str, Any]], Awaitable[None]]] = {
    "hello": VisitorSocket._on_hello,
    "message": VisitorSocket._on_message,
    "typing": VisitorSocket._on_typing,
    "read": VisitorSocket._on_read,
    "handoff": VisitorSocket._on_handoff,
    "rate": VisitorSocket._on_rate,
    "fetch": VisitorSocket._on_fetch,
    "ping": VisitorSocket._on_ping,
}
_REFUSALS = {
    "blocked": "this conversation takes no messages",
    "invalid": "the message names an upload or a message that is not yours",
    "unavailable": "the message could not be stored now; try again",
}


def _client_id(frame: dict[str, Any]) -> str | None:
    client_id = frame.get("client_id")
    return client_id if isinstance(client_id, str) and len(client_id) <= 64 else None


def _origin_allowed(inbox: Inbox, origin: str | None, host: str) -> bool:
    """Programs send no origin; our own pages always may, other sites where the inbox lets them."""
    allowed = inbox.setting("allowed_origins")
    if not origin or not allowed:
        return True
    own = urlsplit(origin).netloc == host or origin == settings.PUBLIC_URL
    return own or origin in {entry.rstrip("/") for entry in allowed}
