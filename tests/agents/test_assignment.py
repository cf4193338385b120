"""Who gets what waits: the decision, the doing, and workers that race."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from agents import assignment, presence, tasks
from agents.assignment import Candidate, choose
from agents.models import Agent, AssignmentReceipt
from tests import factories
from tests.factories import NOON
from tickets.events import HandoffReason
from tickets.models import Conversation, Inbox, Team
from tickets.services import conversations


def candidate(user_id: int, **values: object) -> Candidate:
    fields = {"status": "online", "is_there": True, "load": 0, "capacity": 8, **values}
    return Candidate(user_id=user_id, username=f"agent-{user_id}", **fields)


# The decision


def test_the_least_loaded_wins_and_the_receipt_says_why_not_the_others() -> None:
    everybody = [
        candidate(1, load=4),
        candidate(2, load=1, idle_since=NOON - timedelta(hours=2)),
        candidate(3, is_there=False),
        candidate(4, status="break"),
        candidate(5, status="busy"),
        candidate(6, status="offline"),
        candidate(7, load=8),
    ]

    choice = choose(everybody, strategy="least_busy", now=NOON)

    assert choice.winner == everybody[1]
    assert [(c["agent"], c["score"], c["excluded"]) for c in choice.candidates] == [
        ("agent-2", 0.875, None),
        ("agent-1", 0.5, None),
        ("agent-3", None, "not_there"),
        ("agent-4", None, "break"),
        ("agent-5", None, "busy"),
        ("agent-6", None, "offline"),
        ("agent-7", None, "full"),
    ]
    assert choice.candidates[0]["inputs"] == {"load": 1, "capacity": 8, "idle_hours": 2.0}


def test_of_equals_the_one_who_idles_longest_wins() -> None:
    recent = candidate(1, idle_since=NOON - timedelta(minutes=1))
    longer = candidate(2, idle_since=NOON - timedelta(minutes=9))

    assert choose([recent, longer], strategy="least_busy", now=NOON).winner == longer


def test_by_turns_load_does_not_count() -> None:
    busier = candidate(1, load=5, idle_since=NOON - timedelta(minutes=9))
    recent = candidate(2, load=0, idle_since=NOON - timedelta(minutes=1))

    assert choose([busier, recent], strategy="round_robin", now=NOON).winner == busier


def test_nobody_wins_where_nobody_can() -> None:
    assert choose([candidate(1, is_there=False)], strategy="least_busy", now=NOON).winner is None
    assert choose([candidate(1, capacity=0)], strategy="least_busy", now=NOON).winner is None
    assert choose([], strategy="least_busy", now=NOON).winner is None


# The doing


def profile(user: User, **values: object) -> Agent:
    return Agent.objects.create(user=user, **values)


def waiting(inbox: Inbox, number: int = 1) -> list[Conversation]:
    made = []
    for minute in range(number):
        conversation = factories.conversation(factories.identity(inbox))
        now = NOON + timedelta(minutes=minute)
        conversations.hand_off(conversation, reason=HandoffReason.ASKED, now=now)
        made.append(conversation)
    return made


@pytest.mark.django_db
def test_the_longest_wait_is_given_out_first_with_a_receipt(
    agent: User, web_inbox: Inbox, nobody_there: None
) -> None:
    profile(agent, capacity=1)
    first, second = waiting(web_inbox, 2)
    presence.beat(agent.pk, "one")

    given = assignment.assign_waiting(now=NOON)

    first.refresh_from_db()
    second.refresh_from_db()
    receipt = AssignmentReceipt.objects.get()
    assert (given, first.assignee, first.status) == (1, agent, "open")
    assert (second.assignee, second.status) == (None, "queued")
    assert (receipt.conversation, receipt.agent, receipt.strategy) == (first, agent, "least_busy")
    assert [c["agent"] for c in receipt.candidates] == ["wangfang"]


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["busy", "break", "offline"])
def test_who_does_not_want_work_gets_none(
    agent: User, web_inbox: Inbox, nobody_there: None, status: str
) -> None:
    profile(agent, status=status)
    waiting(web_inbox)
    presence.beat(agent.pk, "one")

    assert assignment.assign_waiting(now=NOON) == 0


@pytest.mark.django_db
def test_who_is_not_there_gets_none(agent: User, web_inbox: Inbox, nobody_there: None) -> None:
    profile(agent)
    waiting(web_inbox)

    assert assignment.assign_waiting(now=NOON) == 0


@pytest.mark.django_db
def test_who_has_just_left_gets_none(agent: User, web_inbox: Inbox, nobody_there: None) -> None:
    profile(agent)
    waiting(web_inbox)
    presence.beat(agent.pk, "one")
    presence.leave(agent.pk, "one")

    assert assignment.assign_waiting(now=NOON) == 0


@pytest.mark.django_db
def test_another_teams_agent_gets_none(web_inbox: Inbox, nobody_there: None) -> None:
    stranger = factories.user("stranger", teams=[factories.team("sales")])
    profile(stranger)
    waiting(web_inbox)
    presence.beat(stranger.pk, "one")

    assert assignment.assign_waiting(now=NOON) == 0


@pytest.mark.django_db
def test_an_auditor_gets_none(nobody_there: None) -> None:
    auditor = factories.user("auditor", role="auditor")
    profile(auditor)
    waiting(factories.inbox("web", key="no-team"))
    presence.beat(auditor.pk, "one")

    assert assignment.assign_waiting(now=NOON) == 0


@pytest.mark.django_db
def test_a_team_that_chooses_by_hand_is_left_alone(
    agent: User, team: Team, web_inbox: Inbox, nobody_there: None
) -> None:
    profile(agent)
    Team.objects.update(strategy="manual")
    waiting(web_inbox)
    presence.beat(agent.pk, "one")

    assert assignment.assign_waiting(now=NOON) == 0


@pytest.mark.django_db
def test_what_has_no_team_goes_to_anybody(agent: User, nobody_there: None) -> None:
    profile(agent)
    waiting(factories.inbox("web", key="no-team"), 2)
    presence.beat(agent.pk, "one")

    assert assignment.assign_waiting(now=NOON) == 2


@pytest.mark.django_db
def test_work_is_spread_evenly(team: Team, web_inbox: Inbox, nobody_there: None) -> None:
    people = [factories.user(teams=[team]) for _ in range(3)]
    for person in people:
        profile(person)
        presence.beat(person.pk, "one")
    waiting(web_inbox, 6)

    assert assignment.assign_waiting(now=NOON) == 6
    assert dict(assignment.loads([p.pk for p in people])) == {p.pk: 2 for p in people}


@pytest.mark.django_db
def test_a_hand_off_gives_out_its_own_line(
    agent: User, web_inbox: Inbox, nobody_there: None
) -> None:
    profile(agent)
    [conversation] = waiting(web_inbox)
    presence.beat(agent.pk, "one")

    assert tasks.assign_queued(conversation.pk) == 1
    assert tasks.assign_queued(conversation.pk) == 0
    assert tasks.assign_queued(2**40) == 0


@pytest.mark.django_db(transaction=True)
def test_workers_that_race_give_each_conversation_once_and_overfill_nobody(
    team: Team, web_inbox: Inbox, nobody_there: None
) -> None:
    people = [factories.user(teams=[team]) for _ in range(3)]
    for person in people:
        profile(person, capacity=4)
        presence.beat(person.pk, "one")
    waiting(web_inbox, 20)
    workers = 6
    start = Barrier(workers)

    def work(_: int) -> int:
        try:
            start.wait()
            return assignment.assign_waiting(now=timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        given = sum(pool.map(work, range(workers)))

    assert given == 12 == AssignmentReceipt.objects.count()
    assert dict(assignment.loads([p.pk for p in people])) == {p.pk: 4 for p in people}
    assert AssignmentReceipt.objects.values("conversation").distinct().count() == 12
    assert Conversation.objects.queued().count() == 8


@pytest.mark.django_db(transaction=True)
def test_an_agent_of_two_teams_is_not_overfilled_by_two_workers(nobody_there: None) -> None:
    teams = [factories.team(), factories.team()]
    person = factories.user(teams=teams)
    profile(person, capacity=3)
    presence.beat(person.pk, "one")
    for team in teams:
        waiting(factories.inbox("web", team=team), 5)
    start = Barrier(2)

    def work(team_id: int) -> int:
        try:
            start.wait()
            return assignment.assign_team(team_id, there={person.pk}, now=timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        given = sum(pool.map(work, [team.pk for team in teams]))

    assert given == 3


# Presence


def test_a_console_that_stops_beating_is_gone(
    nobody_there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "TTL_S", 0.2)
    presence.beat(7, "one")
    assert presence.connected() == {7}

    time.sleep(0.3)

    assert (presence.connected(), presence.present()) == (set(), set())


def test_a_console_that_was_closed_lingers_for_a_moment(
    nobody_there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_S", 0.2)
    presence.beat(7, "one")
    presence.leave(7, "one")
    assert (presence.connected(), presence.present()) == (set(), {7})

    time.sleep(0.3)

    assert presence.present() == set()


def test_of_two_consoles_one_is_enough(nobody_there: None) -> None:
    presence.beat(7, "one")
    presence.beat(7, "two")
    presence.leave(7, "one")

    assert presence.connected() == {7}


def test_what_has_run_out_is_forgotten(nobody_there: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "TTL_S", -1)
    presence.beat(7, "one")
    presence.forget_gone()

    assert presence._redis().zcard(presence._OPEN) == 0
