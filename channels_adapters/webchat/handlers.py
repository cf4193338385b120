"""What a visitor's socket does with each frame of its client, contract §4."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from channels_adapters.webchat import frames, session
from channels_adapters.webchat.frames import BadFrame
from channels_adapters.webchat.limits import RateLimits
from channels_adapters.webchat.threads import in_thread
from tickets import bus, metrics
from tickets.envelopes import InboundMessage, Received
from tickets.errors import Blocked
from tickets.events import TypingStarted
from tickets.payloads import iso

if TYPE_CHECKING:
    from channels_adapters.webchat.consumers import VisitorSocket

Frame = dict[str, Any]
_limits = RateLimits()
_REFUSALS = {
    "blocked": "this conversation takes no messages",
    "invalid": "the message names an upload or a message that is not yours",
    "unavailable": "the message could not be stored now; try again",
}


async def _on_hello(socket: VisitorSocket, frame: Frame) -> None:
    """Again: the site's user logged in or out, without a new socket."""
    await socket.say_hello(frames.hello(frame))


async def _on_message(socket: VisitorSocket, frame: Frame) -> None:
    written = frames.message(frame, text_limit=socket.inbox.setting("text_limit"))
    wait_s = _wait_s(socket)
    if wait_s is not None:
        socket.error(
            "rate_limited",
            "too many messages in a minute",
            client_id=written.client_id,
            retry_after_s=wait_s,
        )
        return
    inbound = InboundMessage(
        inbox_id=socket.inbox.pk,
        identity_id=socket.visitor.identity_id,
        text=written.text,
        client_id=written.client_id,
        attachment_ids=written.attachments,
        reply_to=written.reply_to,
        page=socket.page,
    )
    socket.sent.append(written.client_id)
    started = time.monotonic()

    def answered(received: Received) -> None:
        metrics.message_latency.observe(time.monotonic() - started)
        _answered(socket, written.client_id, received)

    if not socket.writer.submit(inbound, answered):
        socket.forget_sent(written.client_id)
        socket.error("unavailable", "too much at once; try again", client_id=written.client_id)


def _wait_s(socket: VisitorSocket) -> int | None:
    limits = socket.inbox.setting("rate_limit")
    return _limits.retry_after_s(
        (("visitor", socket.inbox.pk, str(socket.visitor.identity_id)), limits["visitor"]),
        (("network", socket.inbox.pk, socket.network), limits["network"]),
    )


def _answered(socket: VisitorSocket, client_id: str, received: Received) -> None:
    """The commit happened, or did not."""
    if received.error:
        socket.forget_sent(client_id)
        socket.error(received.error, _REFUSALS[received.error], client_id=client_id)
        return
    if received.duplicate:
        socket.forget_sent(client_id)
    else:
        socket.saw(str(received.conversation_public_id), received.seq)
    socket.push(
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


async def _on_typing(socket: VisitorSocket, frame: Frame) -> None:
    on = frames.flag(frame, "on")
    text = frames.typed_text(frame) if socket.inbox.setting("typing_preview") else ""
    conversation = await in_thread(session.current, socket.visitor.contact_id)
    if conversation and conversation.is_live:
        hint = TypingStarted(conversation.pk, socket.visitor.contact_id, True, on, text)
        await in_thread(bus.hint, hint)


async def _on_read(socket: VisitorSocket, frame: Frame) -> None:
    await in_thread(session.mark_read, socket.visitor, frames.seq(frame))


async def _on_handoff(socket: VisitorSocket, frame: Frame) -> None:
    try:
        status = await in_thread(session.hand_off, socket.inbox, socket.visitor, socket.page)
    except Blocked:
        socket.error("blocked", _REFUSALS["blocked"])
        return
    if status:
        socket.push(status)


async def _on_rate(socket: VisitorSocket, frame: Frame) -> None:
    rated = frames.rating(frame)
    if not await in_thread(session.rate, socket.visitor, rated):
        raise BadFrame("there is nothing to rate")
    socket.push({"type": "rated", "score": rated.score})


async def _on_fetch(socket: VisitorSocket, frame: Frame) -> None:
    socket.push(await in_thread(session.fetch, socket.visitor, frames.fetch(frame)))


async def _on_ping(socket: VisitorSocket, frame: Frame) -> None:
    socket.push({"type": "pong"})


HANDLERS: dict[str, Callable[[VisitorSocket, Frame], Awaitable[None]]] = {
    "hello": _on_hello,
    "message": _on_message,
    "typing": _on_typing,
    "read": _on_read,
    "handoff": _on_handoff,
    "rate": _on_rate,
    "fetch": _on_fetch,
    "ping": _on_ping,
}
