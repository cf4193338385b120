"""What open consoles are told: the shapes of the frames, and the groups through which it goes.

The layer only wakes consoles: `console.changed` names conversations, and each console reads what
of them its agent may see. What is worth knowing only now (`console.frame`) carries by
whom it may be seen, so that nobody is told of a conversation that was just taken from them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from tickets import push
from tickets.models import Message
from tickets.payloads import ConversationPayload, iso
from tickets.policy import Principal
from tickets.told import Told


class Preview(TypedDict):
    """The last line of a conversation, and who said it."""

    direction: Literal["contact", "agent", "bot", "note"]
    text: str


class RowPayload(ConversationPayload):
    """A conversation as lists show it; `buckets`: in which lists of this agent it is now."""

    preview: Preview
    buckets: list[str]


class AgentPayload(TypedDict):
    username: str
    name: str
    status: str
    teams: list[str]


class ReadyFrame(TypedDict):
    """`cursor`: the server's time, from which REST's `updated_after` goes on."""

    type: Literal["ready"]
    agent: AgentPayload
    cursor: str


class AckFrame(TypedDict):
    type: Literal["ack"]
    client_id: str
    id: str
    conversation: str
    seq: int
    skipped: list[int]
    created_at: str | None


class MessageFrame(TypedDict):
    type: Literal["message"]
    conversation: str
    message: dict[str, Any]


class MessagesFrame(TypedDict):
    type: Literal["messages"]
    conversation: str
    messages: list[dict[str, Any]]
    more: bool


class ConversationFrame(TypedDict):
    type: Literal["conversation"]
    conversation: RowPayload


class RemovedFrame(TypedDict):
    type: Literal["removed"]
    conversation: str


class CountsFrame(TypedDict):
    type: Literal["counts"]
    counts: dict[str, int]


class StatusFrame(TypedDict):
    type: Literal["status"]
    status: str


class ErrorFrame(TypedDict):
    """`last_seq` and `messages` come with `moved_on`."""

    type: Literal["error"]
    code: str
    detail: str
    client_id: str | None
    conversation: str | None
    last_seq: NotRequired[int]
    messages: NotRequired[list[dict[str, Any]]]


def error_frame(
    code: str, detail: str, *, client_id: str | None = None, conversation: str | None = None
) -> ErrorFrame:
    return {
        "type": "error",
        "code": code,
        "detail": detail,
        "client_id": client_id,
        "conversation": conversation,
    }


def ack_frame(message: Message) -> AckFrame:
    return {
        "type": "ack",
        "client_id": message.client_id or "",
        "id": str(message.public_id),
        "conversation": str(message.conversation.public_id),
        "seq": message.seq,
        "skipped": [],
        "created_at": iso(message.created_at),
    }


# Groups ---------------------------------------------------------------------------------------

Place = tuple[int | None, int | None]  # the team and the assignee of a conversation


def groups_of(principal: Principal) -> set[str]:
    """The groups in which this agent's consoles hear of every conversation that they see."""
    groups = {push.agent_group(principal.user_id)} if principal.user_id else set()
    if principal.sees_all:
        return groups | {push.ALL_CONSOLES}
    return groups | {push.team_group(team_id) for team_id in (None, *principal.team_ids)}


def may_see(principal: Principal, place: Place) -> bool:
    """What `policy.conversations` says, of a conversation at this place."""
    team_id, assignee_id = place
    return (
        principal.sees_all
        or team_id is None
        or team_id in principal.team_ids
        or (assignee_id is not None and assignee_id == principal.user_id)
    )


def tell_said(messages: Sequence[Told]) -> None:
    """Bring new messages to the consoles that look at their logs, then wake all that see them.

    The word that wakes them names the last number of each log, so that a console to which
    a message did not come reads it, and no other has to read.
    """
    places = {one.conversation_id: (one.team_id, one.assignee_id) for one in messages}
    last = {one.conversation_id: one.seq for one in messages}
    push.many(
        [
            *((push.conversation_group(one.conversation_id), _said(one)) for one in messages),
            *_changed(places, said=last),
        ]
    )


def _said(one: Told) -> dict[str, Any]:
    frame = {
        "type": "message",
        "conversation": one.payload["conversation"],
        "message": one.payload,
    }
    return {
        "type": "console.said",
        "conversation": one.conversation_id,
        "seq": one.seq,
        "frame": frame,
        "seen_by": [one.team_id, one.assignee_id],
    }


def tell_changed(
    places: Mapping[int, Place],
    *,
    message_ids: Iterable[int] = (),
    also: Iterable[str] = (),
) -> None:
    """Wake the consoles that see these conversations, and the groups `also`.

    `places` by conversation; `message_ids`: messages that are not new but changed.
    """
    push.many(_changed(places, message_ids=message_ids, also=also))


def _changed(
    places: Mapping[int, Place],
    *,
    message_ids: Iterable[int] = (),
    also: Iterable[str] = (),
    said: Mapping[int, int] | None = None,
) -> list[tuple[str, dict[str, Any]]]:
    """`said`: the last number of each log, where nothing but new messages is told."""
    by_group: dict[str, list[int]] = defaultdict(list)
    for conversation_id, (team_id, assignee_id) in places.items():
        by_group[push.ALL_CONSOLES].append(conversation_id)
        by_group[push.team_group(team_id)].append(conversation_id)
        if assignee_id:
            by_group[push.agent_group(assignee_id)].append(conversation_id)
    for group in also:
        by_group.setdefault(group, list(places))
    changed = list(message_ids)
    return [
        (
            group,
            {
                "type": "console.changed",
                "conversations": ids,
                "messages": changed,
                "said": [said[pk] for pk in ids] if said else [],
            },
        )
        for group, ids in by_group.items()
    ]


def tell_watchers(conversation_id: int, place: Place, frame: dict[str, Any]) -> None:
    """Send a frame to the consoles that look at a conversation and may see it."""
    message = {"type": "console.frame", "frame": frame, "seen_by": list(place)}
    push.to_groups([push.conversation_group(conversation_id)], message)


def tell_agent(user_id: int, frame: Mapping[str, Any], place: Place | None = None) -> None:
    """Send a frame to all consoles of one agent; with a place, while they may see what is there."""
    seen_by = {"seen_by": list(place)} if place else {}
    message = {"type": "console.frame", "frame": dict(frame), **seen_by}
    push.to_groups([push.agent_group(user_id)], message)
