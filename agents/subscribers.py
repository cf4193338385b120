"""What the agents do when told: consoles show it, and the line is given out."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from agents import push, tasks
from tickets import push as ground
from tickets import told
from tickets.events import (
    ConversationChanged,
    ConversationHandedOff,
    ConversationResolved,
    CopilotEnded,
    CopilotGrowing,
    CopilotJudgeKept,
    MessageChanged,
    MessageReceived,
    ReadMoved,
    ReplyGrowing,
    ReplyPosted,
    TypingStarted,
)
from tickets.models import Conversation


def show_received(event: MessageReceived) -> None:
    push.tell_said(told.of(event))


def show_reply(event: ReplyPosted) -> None:
    push.tell_said(told.of(event))


def show_message(event: MessageChanged) -> None:
    push.tell_changed(_places([event.conversation_id]), message_ids=[event.message_id])


def show_changed(event: ConversationChanged) -> None:
    """Also to those who had it before, whose lists it leaves."""
    left = []
    if event.left_team_id is not None:
        left.append(ground.team_group(event.left_team_id))
    if event.left_agent_id is not None:
        left.append(ground.agent_group(event.left_agent_id))
    push.tell_changed(_places([event.conversation_id]), also=left)


def show_typing(hint: TypingStarted) -> None:
    if hint.by_contact and (found := _find(hint.conversation_id)):
        public_id, place = found
        frame = {"type": "typing", "conversation": str(public_id), "on": hint.on}
        extra = {"text": hint.text} if hint.text else {}
        push.tell_watchers(hint.conversation_id, place, frame | extra)


def show_growing(hint: ReplyGrowing) -> None:
    if found := _find(hint.conversation_id):
        public_id, place = found
        frame = {"type": "delta", "conversation": str(public_id)}
        growing = {"reply_to": hint.reply_to, "text": hint.text}
        push.tell_watchers(hint.conversation_id, place, frame | growing)


def show_read(hint: ReadMoved) -> None:
    if hint.by_contact and (found := _find(hint.conversation_id)):
        public_id, place = found
        frame = {"type": "read", "conversation": str(public_id), "seq": hint.seq}
        push.tell_watchers(hint.conversation_id, place, frame)


def show_suggestion_growing(hint: CopilotGrowing) -> None:
    _tell_who_asked(hint, {"type": "copilot_delta", "text": hint.text})


def show_suggestion(hint: CopilotEnded) -> None:
    _tell_who_asked(hint, {"type": "copilot_end", **hint.suggestion})


def show_judged(hint: CopilotJudgeKept) -> None:
    frame = {"type": "copilot_judged", "id": str(hint.suggestion), "good": hint.good}
    problem = None if hint.known else {"code": "not_found", "why": "id"}
    _tell_who_asked(hint, {**frame, "problem": problem})


def _tell_who_asked(
    hint: CopilotGrowing | CopilotEnded | CopilotJudgeKept, frame: dict[str, Any]
) -> None:
    """To the consoles of that agent, while they may see the conversation."""
    if found := _find(hint.conversation_id):
        public_id, place = found
        named = {"conversation": str(public_id), "client_id": hint.client_id}
        push.tell_agent(hint.user_id, frame | named, place)


def assign(event: ConversationHandedOff) -> None:
    tasks.soon(tasks.assign_queued, event.conversation_id)


def assign_next(event: ConversationResolved) -> None:
    """Somebody may have room again."""
    tasks.soon(tasks.assign_waiting)


def _places(conversation_ids: Iterable[int]) -> dict[int, push.Place]:
    rows = Conversation.objects.filter(pk__in=conversation_ids)
    return {pk: (team, agent) for pk, team, agent in rows.values_list("pk", "team", "assignee")}


def _find(conversation_id: int) -> tuple[UUID, push.Place] | None:
    row = (
        Conversation.objects.filter(pk=conversation_id)
        .values_list("public_id", "team", "assignee")
        .first()
    )
    return (row[0], (row[1], row[2])) if row else None
