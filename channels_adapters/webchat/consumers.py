"""The visitor's socket, contract §4: a lean ASGI application under Channels' routing.

It never touches the database in its loop: messages go to the group commit (`writer`),
everything else to a thread, one call for each frame. Why it is no Channels consumer:
docs/benchmarks.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from channels_adapters.webchat import admission, frames, session
from channels_adapters.webchat.catchup import watch
from channels_adapters.webchat.frames import BadFrame
from channels_adapters.webchat.handlers import HANDLERS
from channels_adapters.webchat.threads import in_thread
from channels_adapters.webchat.writer import writer
from tickets import dbthreads, metrics
from tickets.models import Inbox
from tickets.outgoing import Outgoing, Send
from tickets.push import Subscription, contact_group

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 10.0
MAX_INVALID_IN_A_ROW = 10
MALFORMED, FORBIDDEN_ORIGIN, NO_INBOX, NO_HELLO, TOO_BIG = 4400, 4403, 4404, 4408, 1009
RESTART = 1012

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]


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
        "_invalid",
        "_out",
        "_receive",
        "_scope",
        "_seen",
        "_subscription",
        "inbox",
        "network",
        "page",
        "sent",
        "visitor",
        "writer",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._out = Outgoing(send)
        self.writer = writer()
        self._invalid = 0
        # Client ids whose echo this socket must not get; few, and a list is smaller than a set.
        self.sent: list[str] = []
        self._subscription: Subscription | None = None
        self._seen = ("", 0)  # the conversation's id and the highest number that was sent
        self.page: dict[str, str] = {}

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
            inbox = await in_thread(session.load_inbox, key)
        except dbthreads.AWAY:
            await self._sorry(RESTART)
        if inbox is None:
            await self._sorry(NO_INBOX)
        if not admission.may_come(inbox, self._scope):
            await self._sorry(FORBIDDEN_ORIGIN)
        self.inbox: Inbox = inbox
        self.network = admission.network(self._scope)

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
        self.page = hello.page
        await self.say_hello(hello)

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

    async def say_hello(self, hello: frames.Hello) -> None:
        """Answer a hello: from now on the socket speaks for whom it names."""
        try:
            greeting: session.Greeting = await in_thread(session.greet, self.inbox, hello)
            self._leave()
            self.visitor = greeting.visitor
        except dbthreads.AWAY:
            await self._sorry(RESTART)
        if greeting.bad_identity:
            self.error("bad_identity", greeting.bad_identity)
        self.push(greeting.ready)
        conversation = greeting.ready["conversation"]
        self.saw(conversation["id"] if conversation else "", greeting.last_shown)
        self._join()

    def _join(self) -> None:
        group = contact_group(self.visitor.contact_id)
        self._subscription = Subscription(group, self._pushed)
        watch().add(self, self.visitor.contact_id)

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

    def saw(self, conversation: str, seq: int) -> None:
        known, highest = self._seen
        self._seen = (conversation, max(seq, highest) if conversation == known else seq)

    def forget_sent(self, client_id: str) -> None:
        if client_id in self.sent:
            self.sent.remove(client_id)

    def catch_up(self, message_frames: list[dict[str, Any]]) -> None:
        """What the channel layer lost on the way here."""
        for frame in message_frames:
            self._pushed({"type": "visitor.frame", "frame": frame})

    @property
    def page_url(self) -> str:
        """Where the visitor is on the site, "" where their client does not say."""
        return self.page.get("url", "")

    @property
    def inbox_id(self) -> int:
        return self.inbox.pk

    def inbox_is(self, inbox: Inbox | None) -> None:
        """Its settings may have changed since the socket was opened; None: it takes nobody now."""
        if inbox is None:
            self._out.close(NO_INBOX)
        elif not admission.may_come(inbox, self._scope):
            self._out.close(FORBIDDEN_ORIGIN)
        else:
            self.inbox = inbox

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
            handler = HANDLERS.get(kind)
            if handler is None:
                raise BadFrame(f"unknown type {kind[:40]!r}", client_id=_client_id(frame))
            await handler(self, frame)
            self._invalid = 0
        except BadFrame as bad:
            self._refuse(bad)
        except dbthreads.AWAY:
            self.error("unavailable", "the database is away; try again")
        except Closed:
            raise
        except Exception:  # an outermost edge: no frame may end the process
            log.exception("a visitor's frame failed")
            self.error("unavailable", "something went wrong here; try again")

    def _refuse(self, bad: BadFrame) -> None:
        self.error(bad.code, bad.detail, client_id=bad.client_id)
        if bad.code == "invalid":
            self._invalid += 1
        if self._invalid >= MAX_INVALID_IN_A_ROW:
            self._out.close(MALFORMED)
            raise Closed

    def push(self, frame: dict[str, Any]) -> None:
        self._out.push(frame)

    def error(
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

    # What others tell it --------------------------------------------------------------------

    def _pushed(self, message: dict[str, Any]) -> None:
        """From the channel layer: a frame for the contact, or the word to come back."""
        if message["type"] == "visitor.moved":
            self._out.close(RESTART)
            return
        frame = message["frame"]
        if frame["type"] == "message":
            said = frame["message"]
            self.saw(said["conversation"], said["seq"])
            if said["client_id"] in self.sent:
                self.forget_sent(said["client_id"])  # the ack says it
                return
        self._out.push(frame)


def _client_id(frame: dict[str, Any]) -> str | None:
    client_id = frame.get("client_id")
    return client_id if isinstance(client_id, str) and len(client_id) <= 64 else None
