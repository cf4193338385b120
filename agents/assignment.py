"""Who takes a conversation from the queue: `choose` decides, `assign_next` does it.

The answer always says why: a receipt keeps everybody who was weighed, with the numbers
they were weighed by or the reason why they were not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet

from agents import presence
from agents.models import Agent, AssignmentReceipt
from tickets import metrics, policy
from tickets.models import Conversation, Team
from tickets.services import conversations

# What keeps an agent busy. Snoozed ones are out of sight until they wake.
IN_HAND = (Conversation.Status.OPEN, Conversation.Status.WAITING)


class Excluded(StrEnum):
    """Why an agent was not weighed."""

    NOT_THERE = "not_there"  # no console open
    BUSY = "busy"
    BREAK = "break"
    OFFLINE = "offline"
    FULL = "full"  # at capacity


@dataclass(frozen=True)
class Candidate:
    """An agent as assignment sees them. `load`: conversations in hand now."""

    user_id: int
    username: str
    status: str
    is_there: bool
    load: int
    capacity: int
    idle_since: datetime | None = None

    @property
    def excluded(self) -> Excluded | None:
        if not self.is_there:
            return Excluded.NOT_THERE
        if self.status != Agent.Status.ONLINE:
            return Excluded(self.status)
        return Excluded.FULL if self.load >= self.capacity else None

    @property
    def free_share(self) -> float:
        """How much of the capacity is free, 0 to 1."""
        return max(0.0, 1 - self.load / self.capacity) if self.capacity else 0.0


@dataclass(frozen=True)
class Choice:
    """The winner, if anybody could be one, and everybody weighed, the best first."""

    winner: Candidate | None
    candidates: list[dict[str, Any]]


def choose(candidates: Iterable[Candidate], *, strategy: str, now: datetime) -> Choice:
    """The least loaded, or by turns the one longest without a new conversation.

    Whoever has the same share free is taken in the order of their last conversation.
    """
    by_turns = strategy == Team.Strategy.ROUND_ROBIN

    def order(candidate: Candidate) -> tuple[Any, ...]:
        idle_s = _idle_s(candidate, now)
        share = 0.0 if by_turns else -candidate.free_share
        return bool(candidate.excluded), share, -idle_s, candidate.user_id

    ranked = sorted(candidates, key=order)
    able = [candidate for candidate in ranked if not candidate.excluded]
    return Choice(
        winner=able[0] if able else None,
        candidates=[_weighed(candidate, now, by_turns=by_turns) for candidate in ranked],
    )


def _idle_s(candidate: Candidate, now: datetime) -> float:
    """Seconds since the last conversation was given to them; who never had one idles longest."""
    if candidate.idle_since is None:
        return float("inf")
    return max(0.0, (now - candidate.idle_since).total_seconds())


def _weighed(candidate: Candidate, now: datetime, *, by_turns: bool) -> dict[str, Any]:
    """One line of a receipt; `score`: the higher the better, null for who was not weighed."""
    idle_h = None if candidate.idle_since is None else round(_idle_s(candidate, now) / 3600, 2)
    score = idle_h if by_turns else round(candidate.free_share, 4)
    return {
        "agent": candidate.username,
        "score": None if candidate.excluded else score,
        "inputs": {
            "load": candidate.load,
            "capacity": candidate.capacity,
            "idle_hours": idle_h,
        },
        "excluded": candidate.excluded.value if candidate.excluded else None,
    }


# Doing it -------------------------------------------------------------------------------------


def assign_waiting(*, now: datetime) -> int:
    """Give out what waits in every line; how many conversations found an agent.

    Raises one of `presence.AWAY`: while nobody can be known to be there, nobody gets work.
    """
    there = presence.connected()
    waiting = _waiting().order_by().values_list("team_id", flat=True).distinct() if there else ()
    return sum(assign_team(team_id, there=there, now=now) for team_id in waiting)


def assign_team(team_id: int | None, *, there: set[int], now: datetime) -> int:
    """Give out one team's line, unless it is given out by hand, as far as people have room."""
    given = 0
    while there and assign_next(team_id, there=there, now=now):
        given += 1
    return given


@transaction.atomic
def assign_next(team_id: int | None, *, there: set[int], now: datetime) -> bool:
    """Give the conversation that waits longest to the best agent who is there.

    False where the line is empty or nobody has room. Two workers never take the same
    conversation (SKIP LOCKED), nor overfill an agent: loads are counted under a lock of
    the candidates' rows, taken in the order of their keys.
    """
    conversation = (
        _waiting()
        .filter(Q(team_id=team_id) if team_id else Q(team_id__isnull=True))
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .select_related("team")
        .first()
    )
    if conversation is None:
        return False
    strategy = conversation.team.strategy if conversation.team else Team.Strategy.LEAST_BUSY
    agents = list(_agents_for(team_id).select_for_update(of=("self",), no_key=True))
    choice = choose(candidates(agents, there), strategy=strategy, now=now)
    if choice.winner is None:
        return False
    return _give(conversation, choice, strategy=strategy, now=now)


def _give(conversation: Conversation, choice: Choice, *, strategy: str, now: datetime) -> bool:
    assert choice.winner is not None
    agent = User.objects.get(pk=choice.winner.user_id)
    lease, waiting_since = conversation.lease, conversation.waiting_since
    if not conversations.assign(conversation, agent=agent, lease=lease, now=now):
        return False
    AssignmentReceipt.objects.create(
        conversation=conversation,
        agent=agent,
        at=now,
        strategy=strategy,
        candidates=choice.candidates,
    )
    if waiting_since:
        metrics.assignment_wait.observe((now - waiting_since).total_seconds())
    return True


def candidates(agents: Sequence[Agent], there: set[int]) -> list[Candidate]:
    """The agents as they stand now: two queries for their loads and last conversations."""
    user_ids = [agent.user_id for agent in agents]
    load = loads(user_ids)
    idle_since = dict(
        AssignmentReceipt.objects.filter(agent_id__in=user_ids)
        .values_list("agent_id")
        .annotate(last=Max("at"))
    )
    return [
        Candidate(
            user_id=agent.user_id,
            username=agent.user.get_username(),
            status=agent.status,
            is_there=agent.user_id in there,
            load=load.get(agent.user_id, 0),
            capacity=agent.capacity,
            idle_since=idle_since.get(agent.user_id),
        )
        for agent in agents
    ]


def loads(user_ids: Iterable[int]) -> Mapping[int, int]:
    """How many conversations each has in hand; who has none is not in it."""
    in_hand = Conversation.objects.live().filter(assignee_id__in=user_ids, status__in=IN_HAND)
    return dict(in_hand.values_list("assignee_id").annotate(count=Count("pk")))


def _waiting() -> QuerySet[Conversation]:
    """Those in a line that is given out by itself, the longest wait first."""
    by_hand = Q(team__strategy=Team.Strategy.MANUAL)
    return Conversation.objects.queued().filter(~by_hand, assignee__isnull=True)


def _agents_for(team_id: int | None) -> QuerySet[Agent]:
    """Who may be given a conversation of this team; of no team: everybody who answers."""
    agents = Agent.objects.active().select_related("user").order_by("pk")
    if team_id is not None:
        agents = agents.filter(user__teams=team_id)
    return agents.exclude(user__groups__name=policy.Role.AUDITOR)
