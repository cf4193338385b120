"""Frames to open sockets: group names, and the way into the channel layer from synchronous code.

A push may be lost. It only wakes a client, who reads what it missed from the database.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

ALL_CONSOLES = "consoles"


def contact_group(contact_id: int) -> str:
    """The sockets of one contact, over all inboxes."""
    return f"contact.{contact_id}"


def conversation_group(conversation_id: int) -> str:
    """The consoles that look at one conversation."""
    return f"conversation.{conversation_id}"


def team_group(team_id: int | None) -> str:
    """The consoles of one team; None: conversations of no team, which every agent sees."""
    return f"team.{team_id or 'none'}"


def agent_group(user_id: int) -> str:
    """The consoles of one agent."""
    return f"agent.{user_id}"


class Subscription:
    """Calls `callback(message)` in this event loop for each message of a group, until it ends.

    The callback must return at once, and must not change the message: others get the same one.
    """

    __slots__ = ("_callback", "_group", "_layer", "_listening")

    def __init__(self, group: str, callback: Callable[[dict[str, Any]], None]) -> None:
        self._group, self._callback = group, callback
        self._layer = get_channel_layer()
        self._listening: asyncio.Task[None] | None = None
        if subscribe := getattr(self._layer, "local_subscribe", None):
            subscribe(group, callback)
        else:  # any other Channels layer: a channel and a task for each
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    def end(self) -> None:
        if self._listening:
            self._listening.cancel()
        else:
            self._layer.local_unsubscribe(self._group, self._callback)

    async def _listen(self) -> None:
        channel = await self._layer.new_channel()
        await self._layer.group_add(self._group, channel)
        try:
            while True:
                self._callback(await self._layer.receive(channel))
        finally:
            await self._layer.group_discard(self._group, channel)


def to_groups(groups: Iterable[str], message: dict[str, Any]) -> None:
    """Send a message to groups, from any thread that runs no event loop."""
    layer = get_channel_layer()
    send_now = getattr(layer, "group_send_now", None) or async_to_sync(layer.group_send)
    for group in groups:
        try:
            send_now(group, message)
        except (OSError, ConnectionError) as error:
            log.warning("a push to %s was lost: %s", group, error)


def many(pushes: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """As `to_groups`, for many (group, message) at once and in their order."""
    send_many_now = getattr(get_channel_layer(), "group_send_many_now", None)
    if send_many_now:
        send_many_now(pushes)
        return
    for group, message in pushes:
        to_groups([group], message)


def to_visitor(contact_id: int, frame: dict[str, Any]) -> None:
    to_groups([contact_group(contact_id)], {"type": "visitor.frame", "frame": frame})


def to_watchers(conversation_id: int, frame: dict[str, Any]) -> None:
    to_groups([conversation_group(conversation_id)], {"type": "console.frame", "frame": frame})
