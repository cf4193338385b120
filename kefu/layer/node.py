"""What one event loop holds: the mailboxes of its channels, and who is in which group.

A node is touched only in the thread of its own loop, so nothing here is locked.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from channels.exceptions import ChannelFull

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Callback = Callable[[Message], None]


class Mailbox:
    """The messages that wait for one consumer, each with the moment it goes stale."""

    __slots__ = ("_queue", "groups", "idle_since")

    def __init__(self, capacity: int) -> None:
        self._queue: asyncio.Queue[tuple[float, Message]] = asyncio.Queue(capacity)
        self.groups: set[str] = set()
        # None while somebody waits for a message.
        self.idle_since: float | None = time.monotonic()

    def put(self, message: Message, *, stale_at: float) -> bool:
        """False, and the message dropped, where the mailbox is full."""
        if self._queue.full():
            return False
        self._queue.put_nowait((stale_at, message))
        return True

    async def get(self) -> Message:
        """The oldest message that is not stale; waits for one."""
        self.idle_since = None
        try:
            while True:
                stale_at, message = await self._queue.get()
                if stale_at > time.monotonic():
                    return message
        finally:
            self.idle_since = time.monotonic()

    def is_abandoned(self, *, idle_s: float) -> bool:
        """A message went stale unread, or nobody asked for one in `idle_s` seconds."""
        now = time.monotonic()
        if self.idle_since is None:
            return False
        if not self._queue.empty() and self._queue._queue[0][0] < now:  # type: ignore[attr-defined]
            return True
        return now - self.idle_since > idle_s


class Node:
    """The local end of the layer in one event loop."""

    def __init__(self, *, expiry: float, group_expiry: float) -> None:
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.mailboxes: dict[str, Mailbox] = {}
        self._members: dict[str, dict[str, Mailbox]] = {}
        # Tuples, because a callback may subscribe or unsubscribe while we call the others.
        self._callbacks: dict[str, tuple[Callback, ...]] = {}

    def mailbox(self, channel: str, capacity: int) -> Mailbox:
        """The channel's mailbox, made now where it has none."""
        found = self.mailboxes.get(channel)
        if found is None:
            found = self.mailboxes[channel] = Mailbox(capacity)
        return found

    def drop_abandoned(self) -> None:
        """Forget the channels of consumers that went without leaving their groups."""
        for channel, mailbox in list(self.mailboxes.items()):
            if mailbox.is_abandoned(idle_s=self.group_expiry):
                for group in list(mailbox.groups):
                    self.leave(group, channel)
                del self.mailboxes[channel]

    # Groups

    def join(self, group: str, channel: str, capacity: int) -> None:
        mailbox = self.mailbox(channel, capacity)
        mailbox.groups.add(group)
        self._members.setdefault(group, {})[channel] = mailbox

    def leave(self, group: str, channel: str) -> None:
        """Does nothing where the channel is not in the group."""
        members = self._members.get(group)
        if not members or channel not in members:
            return
        members.pop(channel).groups.discard(group)
        if not members:
            del self._members[group]

    def subscribe(self, group: str, callback: Callback) -> None:
        self._callbacks[group] = (*self._callbacks.get(group, ()), callback)

    def unsubscribe(self, group: str, callback: Callback) -> None:
        """Does nothing where the callback is not subscribed."""
        left = tuple(known for known in self._callbacks.get(group, ()) if known != callback)
        if left:
            self._callbacks[group] = left
        else:
            self._callbacks.pop(group, None)

    # Delivery

    def deliver(self, channel: str, message: Message, capacity: int) -> None:
        """Put a message that was sent to one of our channels. Raises ChannelFull."""
        stale_at = time.monotonic() + self.expiry
        if not self.mailbox(channel, capacity).put(message, stale_at=stale_at):
            raise ChannelFull(channel)

    def deliver_or_drop(self, channel: str, message: Message) -> None:
        """As `deliver`, for what came from elsewhere: nobody hears of a full channel."""
        mailbox = self.mailboxes.get(channel)
        if mailbox is not None:
            mailbox.put(message, stale_at=time.monotonic() + self.expiry)

    def deliver_to_group(self, group: str, message: Message) -> None:
        """Hand a message to all local members; the full mailboxes among them go without."""
        for callback in self._callbacks.get(group, ()):
            _call(callback, message)
        members = self._members.get(group)
        if members:
            stale_at = time.monotonic() + self.expiry
            for mailbox in members.values():
                # A copy each, because a consumer may write into the message it got.
                mailbox.put(dict(message), stale_at=stale_at)


def _call(callback: Callback, message: Message) -> None:
    try:
        callback(message)
    except Exception:  # one broken socket must not cost the others their message
        logger.exception("A subscriber of the channel layer failed on %s", message.get("type"))
