"""What an agent does at an open console: synchronous, one function for each frame.

Each asks anew what the agent may: rights that were withdrawn while the socket is open
are gone with the next frame.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q

from agents import frames, profiles, push, tasks
from agents.doors import Visa
from agents.models import Agent
from tickets import bus, policy
from tickets.envelopes import Author
from tickets.errors import MovedOn, TicketsError
from tickets.events import CopilotAsked, CopilotJudged, TypingStarted
from tickets.models import ContactIdentity, Conversation, Message, Team
from tickets.payloads import iso, message_payload, messages_for_payload, user_name
from tickets.policy import Principal
from tickets.services import conversations

LOG_PAGE = 100
LOG_MOST = 500  # messages that one look at the watched logs brings
AT_ONCE = 100  # conversations that a console is told of when it opens
# Rows committed a little late, by transactions that began before we looked.
OVERLAP = timedelta(seconds=10)


class NotFound(TicketsError):
    """No such conversation, for this agent."""

    code = "not_found"


class ReadOnly(TicketsError):
    """Who looks on does not speak."""


class TooLarge(TicketsError):
    code = "too_large"


class Behind(Exception):
    """MovedOn, with the messages that the agent has not seen."""

    def __init__(self, last_seq: int, messages: list[dict[str, Any]]) -> None:
        super().__init__(last_seq)
        self.last_seq, self.messages = last_seq, messages


@dataclass(frozen=True)
class Opening:
    """What a console knows when it opens, and which conversations it is told of first."""

    at: datetime
    agent_id: int
    ready: push.ReadyFrame
    conversation_ids: list[int]


def open_console(visa: Visa, *, now: datetime) -> Opening:
    agent = profiles.agent_of(visa.user, visa.principal)
    teams = Team.objects.filter(pk__in=visa.principal.team_ids).order_by("slug")
    slugs = list(teams.values_list("slug", flat=True))
    live = policy.conversations(visa.principal).live().order_by("-last_message_at", "-pk")
    return Opening(
        at=now,
        agent_id=agent.pk,
        ready={
            "type": "ready",
            "agent": profiles.agent_payload(agent, visa.user, slugs),
            "cursor": iso(now) or "",
        },
        conversation_ids=list(live.values_list("pk", flat=True)[:AT_ONCE]),
    )


def changed_since(principal: Principal, moment: datetime) -> list[int]:
    """The visible conversations that changed since then: what lost pushes would have told."""
    recent = policy.conversations(principal).filter(updated_at__gt=moment - OVERLAP)
    return list(recent.order_by("-updated_at").values_list("pk", flat=True)[:AT_ONCE])


def _visible(user: User, public_id: UUID) -> tuple[Principal, Conversation]:
    """Raises NotFound, alike for what is not there and what is not theirs."""
    principal = policy.principal_of(user)
    found = policy.conversations(principal).filter(public_id=public_id)
    conversation = found.select_related("inbox", "contact").first()
    if conversation is None:
        raise NotFound("no such conversation")
    return principal, conversation


def _writable(user: User, public_id: UUID) -> tuple[Principal, Conversation]:
    principal, conversation = _visible(user, public_id)
    if not principal.may_write:
        raise ReadOnly("you may read, not write")
    return principal, conversation


# The log --------------------------------------------------------------------------------------


def subscribe(user: User, frame: frames.Subscribe) -> tuple[int, int, push.MessagesFrame]:
    """The conversation's key, the seq from which it is watched, and what came after `after`."""
    _principal, conversation = _visible(user, frame.conversation)
    page = messages_after(conversation, frame.after)
    more = len(page) > LOG_PAGE
    page = page[:LOG_PAGE]
    answer: push.MessagesFrame = {
        "type": "messages",
        "conversation": str(conversation.public_id),
        "messages": page,
        "more": more,
    }
    # With more to come the client reads the rest by itself; what is new then is told on top.
    seen = [message["seq"] for message in page]
    position = conversation.last_seq if more or not seen else seen[-1]
    return conversation.pk, position, answer


def messages_after(conversation: Conversation, seq: int) -> list[dict[str, Any]]:
    """At most LOG_PAGE payloads, and one more where there are more."""
    log = conversation.messages.filter(seq__gt=seq).in_order()
    return [message_payload(message) for message in messages_for_payload(log)[: LOG_PAGE + 1]]


def news(
    principal: Principal,
    positions: Mapping[int, int],
    changed_ids: Iterable[int] = (),
    *,
    watched: Iterable[int] = (),
) -> list[tuple[int, push.MessageFrame]]:
    """What came after these positions in these logs, and what changed in watched ones, in order.

    Positions by conversation; each frame comes with its conversation's key. One query where
    nothing came, else three, however many conversations are watched.
    """
    newer, changed = _newer(positions), list(changed_ids)
    if not newer and not changed:
        return []
    wanted = Q(pk__in=newer) | Q(pk__in=changed, conversation__in=watched)
    log = policy.messages(principal).filter(wanted).order_by("conversation_id", "seq")
    return [
        (
            message.conversation_id,
            {
                "type": "message",
                "conversation": str(message.conversation.public_id),
                "message": message_payload(message),
            },
        )
        for message in messages_for_payload(log)[:LOG_MOST]
    ]


# LATERAL … LIMIT: log by log by its index, however a plan sees the tables.
_NEWER_SQL = """
    SELECT log.id FROM unnest(%s::bigint[], %s::bigint[]) AS watched (conversation, seq)
     CROSS JOIN LATERAL (
           SELECT id FROM tickets_message
            WHERE conversation_id = watched.conversation AND seq > watched.seq
            ORDER BY seq LIMIT %s) log
"""


def _newer(positions: Mapping[int, int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_NEWER_SQL, [list(positions), list(positions.values()), LOG_MOST])
        return [pk for (pk,) in cursor.fetchall()]


# Words and deeds ------------------------------------------------------------------------------


def write(user: User, frame: frames.Write, *, now: datetime) -> Message:
    """Post the reply or note.

    Raises Behind, NotFound, ReadOnly, TooLarge, and what `conversations.post_reply` raises.
    """
    _principal, conversation = _writable(user, frame.conversation)
    limit = conversation.inbox.setting("text_limit")
    if not frame.note and len(frame.text) > limit:
        raise TooLarge(f"text: at most {limit} characters")
    try:
        message = conversations.post_reply(
            conversation,
            author=Author.agent(user.pk),
            text=frame.text,
            attachments=frame.attachments,
            note=frame.note,
            identity=_identity(conversation, frame.identity),
            client_id=frame.client_id,
            if_last_seq=frame.if_last_seq,
            now=now,
        )
    except MovedOn as error:
        since = messages_after(conversation, frame.if_last_seq or 0)[:LOG_PAGE]
        raise Behind(error.last_seq, since) from error
    return Message.objects.select_related("conversation").get(pk=message.pk)


def _identity(conversation: Conversation, public_id: UUID | None) -> ContactIdentity | None:
    """The address to answer to. Raises TicketsError where it is not one of this contact's."""
    if public_id is None:
        return None
    own = ContactIdentity.objects.filter(contact=conversation.contact_id, public_id=public_id)
    identity = own.select_related("inbox").first()
    if identity is None:
        raise TicketsError("identity: not one of this contact's")
    return identity


def type_on(user: User, frame: frames.Typing) -> None:
    _principal, conversation = _writable(user, frame.conversation)
    bus.hint(
        TypingStarted(
            conversation.pk,
            conversation.contact_id,
            by_contact=False,
            on=frame.on,
            name=user_name(user),
        )
    )


def mark_read(user: User, frame: frames.Read, *, now: datetime) -> None:
    _principal, conversation = _writable(user, frame.conversation)
    conversations.mark_read_by_agent(conversation, seq=frame.seq, now=now)


def ask_copilot(user: User, frame: frames.Copilot) -> None:
    """The answer comes by frames of its own, `copilot_delta` and `copilot_end`."""
    _principal, conversation = _writable(user, frame.conversation)
    asked = CopilotAsked(
        conversation_id=conversation.pk,
        user_id=user.pk,
        client_id=frame.client_id,
        deed=frame.deed,
        draft=frame.draft,
        language=frame.language,
    )
    bus.hint(asked)


def judge_copilot(user: User, frame: frames.JudgeCopilot) -> None:
    """The answer comes by a frame of its own, `copilot_judged`."""
    _principal, conversation = _writable(user, frame.conversation)
    told = (conversation.pk, user.pk, frame.client_id, frame.suggestion, frame.good)
    bus.hint(CopilotJudged(*told))


def take_over(user: User, frame: frames.TakeOver, *, now: datetime) -> None:
    """Raises IllegalStatus where it is resolved."""
    _principal, conversation = _writable(user, frame.conversation)
    conversations.take_over(conversation, agent=user, now=now)


def set_status(agent_id: int, frame: frames.Status, *, now: datetime) -> None:
    """Choose a status; who comes online may be given what waits."""
    agent = Agent.objects.get(pk=agent_id)
    profiles.set_status(agent, frame.status, reason=frame.reason, now=now)
    if frame.status == Agent.Status.ONLINE:
        tasks.soon(tasks.assign_waiting)
