"""The console's pages: what they show, to whom, and by how many queries."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents import assignment, buckets, presence
from agents.models import Agent
from tests import factories
from tests.factories import NOON
from tickets import policy
from tickets.envelopes import SYSTEM, Author
from tickets.events import HandoffReason
from tickets.models import Conversation, Inbox, Label, Message, Team
from tickets.services import conversations

pytestmark = pytest.mark.django_db

LIST_QUERIES = 6
CONVERSATION_QUERIES = 8


@pytest.fixture
def desk(client: Client, agent: User, nobody_there: None) -> Client:
    """The browser of an agent who has used the console before."""
    client.force_login(agent)
    client.get("/console/")
    return client


def talk(inbox: Inbox, number: int) -> list[Conversation]:
    """Conversations with labels, files' worth of lines and a history, a minute apart."""
    label, _ = Label.objects.get_or_create(name="退款")
    made = []
    for minute in range(number):
        now = NOON + timedelta(minutes=minute)
        identity = factories.identity(inbox)
        past = factories.conversation(identity, now=now)
        conversations.resolve(past, by=SYSTEM, now=now)
        conversation = factories.conversation(identity, text=f"问题 {minute}", now=now)
        conversation.labels.add(label)
        made.append(conversation)
    return made


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


# How many queries


@pytest.mark.parametrize("path", ["/console/", "/console/?bucket=all", "/console/fragments/list/"])
@pytest.mark.parametrize("number", [1, 3])
def test_the_list_takes_few_queries_however_long_it_is(
    desk: Client, web_inbox: Inbox, path: str, number: int
) -> None:
    talk(web_inbox, number)

    assert queries(desk, path) <= LIST_QUERIES


@pytest.mark.parametrize("number", [1, 3])
def test_a_conversation_takes_few_queries_however_much_is_in_it(
    desk: Client, agent: User, web_inbox: Inbox, number: int
) -> None:
    conversation = talk(web_inbox, number)[0]
    for line in range(number * 20):
        factories.say(conversation.identity, f"第 {line} 条")
    presence.beat(agent.pk, "one")
    conversations.hand_off(conversation, reason=HandoffReason.ASKED, now=NOON)
    assignment.assign_waiting(now=NOON)

    assert queries(desk, f"/console/c/{conversation.pk}") <= CONVERSATION_QUERIES
    assert queries(desk, f"/console/fragments/c/{conversation.pk}/") <= CONVERSATION_QUERIES


# What they show


def context(client: Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200
    return response.context


def test_the_first_paint_of_a_conversation_shows_all_of_it(
    desk: Client, agent: User, web_inbox: Inbox
) -> None:
    [conversation] = talk(web_inbox, 1)
    presence.beat(agent.pk, "one")
    conversations.hand_off(conversation, reason=HandoffReason.ASKED, now=NOON)
    assignment.assign_waiting(now=NOON)
    for line in range(40):
        factories.say(conversation.identity, f"第 {line} 条")

    shown = context(desk, f"/console/c/{conversation.pk}")

    assert [m["seq"] for m in shown["messages"]] == list(range(14, 44))
    assert shown["has_older"] is True
    assert shown["conversation"]["assignee"] == "wangfang"
    assert shown["conversation"]["labels"] == ["退款"]
    assert shown["conversation"]["preview"] == {"direction": "contact", "text": "第 39 条"}
    [identity] = shown["contact"]["identities"]
    assert identity["inbox"] == {"key": "web-demo", "channel": "web", "name": "web"}
    [past] = shown["contact"]["history"]
    assert (past["status"], past["preview"]["text"]) == ("resolved", "你好")
    assert shown["receipt"]["agent"] == "wangfang"
    assert [c["agent"] for c in shown["receipt"]["candidates"]] == ["wangfang"]
    assert shown["agents"] == [
        {
            "username": "wangfang",
            "name": "wangfang",
            "status": "online",
            "load": 1,
            "capacity": 8,
        }
    ]
    assert shown["teams"] == [{"slug": "aftersale", "name": "售后"}]


def test_a_colleague_without_a_console_is_shown_offline(desk: Client) -> None:
    assert context(desk, "/console/")["agents"][0]["status"] == "offline"


def test_a_queued_conversation_says_how_many_are_before_it(desk: Client, web_inbox: Inbox) -> None:
    first, second = talk(web_inbox, 2)
    for number, conversation in enumerate([first, second]):
        now = NOON + timedelta(minutes=number)
        conversations.hand_off(conversation, reason=HandoffReason.ASKED, now=now)

    assert context(desk, f"/console/c/{first.pk}")["conversation"]["queue"] == {"ahead": 0}
    assert context(desk, f"/console/c/{second.pk}")["conversation"]["queue"] == {"ahead": 1}


def test_a_page_without_conversation_says_so(desk: Client) -> None:
    shown = context(desk, "/console/")

    assert (shown["conversation"], shown["messages"], shown["rows"]) == (None, [], [])


# Buckets


def every_kind(agent: User, team: Team, inbox: Inbox) -> dict[str, Conversation]:
    """One conversation of each kind that buckets tell apart."""
    sales = factories.team("sales")
    other = factories.user("lilei", teams=[team])
    boxes = {"ours": inbox, "theirs": factories.inbox("web", key="sales", team=sales)}
    made = {
        name: factories.conversation(factories.identity(boxes[box]))
        for name, box in [
            ("bot", "ours"),
            ("queued", "ours"),
            ("mine", "ours"),
            ("colleague's", "ours"),
            ("resolved", "ours"),
            ("theirs", "theirs"),
            ("mine of theirs", "theirs"),
        ]
    }
    made["no team"] = factories.conversation(factories.identity(factories.inbox("web", key="x")))
    now = NOON
    conversations.hand_off(made["queued"], reason=HandoffReason.ASKED, now=now)
    conversations.hand_off(made["no team"], reason=HandoffReason.ASKED, now=now)
    conversations.hand_off(made["theirs"], reason=HandoffReason.ASKED, now=now)
    conversations.take_over(made["mine"], agent=agent, now=now)
    conversations.take_over(made["mine of theirs"], agent=agent, now=now)
    conversations.take_over(made["colleague's"], agent=other, now=now)
    conversations.resolve(made["resolved"], by=Author.agent(agent.pk), now=now)
    return made


EXPECTED = {
    "mine": {"mine", "mine of theirs"},
    "unassigned": {"queued", "no team"},
    "team": {"bot", "queued", "mine", "colleague's"},
    "all": {"bot", "queued", "mine", "colleague's", "mine of theirs", "no team"},
}


def test_lists_counts_and_the_socket_agree_on_what_is_where(
    desk: Client, agent: User, team: Team, web_inbox: Inbox
) -> None:
    kinds = every_kind(agent, team, web_inbox)
    names = {conversation.pk: name for name, conversation in kinds.items()}
    principal = policy.principal_of(agent)

    for bucket, expected in EXPECTED.items():
        shown = context(desk, f"/console/?bucket={bucket}")
        assert {names[row["number"]] for row in shown["rows"]} == expected
        assert shown["counts"][bucket] == len(expected)
        for row in shown["rows"]:
            fresh = Conversation.objects.get(pk=row["number"])
            assert bucket in row["buckets"] == buckets.buckets_of(fresh, principal)


def test_resolved_ones_are_a_status_away(
    desk: Client, agent: User, team: Team, web_inbox: Inbox
) -> None:
    kinds = every_kind(agent, team, web_inbox)

    shown = context(desk, "/console/?bucket=all&status=resolved")

    assert [row["number"] for row in shown["rows"]] == [kinds["resolved"].pk]


def test_nobody_waits_in_what_is_over() -> None:
    listing = buckets.Listing.from_query({"status": "resolved", "sort": "waiting"})

    assert listing.sort == "activity"


@pytest.mark.parametrize("sort", buckets.SORTS)
def test_pages_bring_everything_once_in_every_order(
    desk: Client, web_inbox: Inbox, sort: str
) -> None:
    made = talk(web_inbox, 60)
    for number, conversation in enumerate(made):
        fields = {"priority": number % 4 + 1}
        if number % 3 == 0:
            fields |= {"last_message_at": None, "waiting_since": None}
        Conversation.objects.filter(pk=conversation.pk).update(**fields)
    seen: list[int] = []
    before = ""

    for _ in range(3):
        path = f"/console/fragments/list/?bucket=all&sort={sort}&before={before}"
        shown = context(desk, path)
        seen += [row["number"] for row in shown["rows"]]
        before = shown["next"]

    in_one = buckets.page(
        buckets.Listing("all", sort=sort), policy.principal_of(User.objects.get())
    )
    assert seen == [conversation.pk for conversation in in_one]
    assert (len(seen), before) == (60, "")


@pytest.mark.parametrize(
    "query",
    [
        "sort=nothing&status=nothing&unread=x&before=%00",
        "before=bm90IGpzb24",
        "before=W10",
        "before=WzEsMl0",
        "before=WyIyMDI2LTA2LTAyIiwxXQ",
        "before=W251bGwsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0",
        "before=" + "x" * 5000,
        "before=%ff%fe",
    ],
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(
    desk: Client, web_inbox: Inbox, query: str
) -> None:
    talk(web_inbox, 1)

    shown = context(desk, f"/console/fragments/list/?bucket=all&{query}")

    assert len(shown["rows"]) == 1


def test_unread_ones_are_a_filter_away(desk: Client, web_inbox: Inbox) -> None:
    read, unread = talk(web_inbox, 2)
    conversations.mark_read_by_agent(read, seq=9, now=NOON)

    shown = context(desk, "/console/?bucket=all&unread=1")

    assert [row["number"] for row in shown["rows"]] == [unread.pk]


def test_the_preview_names_a_file_without_words(
    desk: Client, agent: User, conversation: Conversation
) -> None:
    conversations.add_note(conversation, author=Author.agent(agent.pk), text="老客户", now=NOON)

    [row] = context(desk, "/console/?bucket=all")["rows"]

    assert row["preview"] == {"direction": "note", "text": "老客户"}
    assert Message.objects.filter(conversation=conversation).count() == 2


# Who may


def test_nobody_is_sent_to_the_log_in(client: Client, conversation: Conversation) -> None:
    for path in [
        "/console/",
        f"/console/c/{conversation.pk}",
        "/console/fragments/list/",
        f"/console/fragments/c/{conversation.pk}/",
    ]:
        response = client.get(path)
        assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}")


def test_what_is_not_theirs_looks_like_what_is_not_there(
    client: Client, conversation: Conversation, nobody_there: None
) -> None:
    client.force_login(factories.user("stranger", teams=[factories.team("sales")]))

    pages = [
        client.get(f"/console/{kind}{number}{end}")
        for kind, end in [("c/", ""), ("fragments/c/", "/")]
        for number in (conversation.pk, 10**17)
    ]

    assert [page.status_code for page in pages] == [404] * 4
    assert all("无法查看该会话" in page.content.decode() for page in pages)

    def bare(page: Any) -> str:
        return re.sub(r"csrf[^>]*|/console/c/\d+", "", page.content.decode())

    assert bare(pages[0]) == bare(pages[1])
    assert bare(pages[2]) == bare(pages[3])


def test_the_front_door_leads_staff_and_guests_where_they_belong(
    client: Client, agent: User, settings: Any
) -> None:
    settings.KEFU_DEMO = True
    assert client.get("/")["Location"] == "/demo/"
    settings.KEFU_DEMO = False
    assert client.get("/")["Location"] == "/console/"
    settings.KEFU_DEMO = True
    client.force_login(agent)
    assert client.get("/")["Location"] == "/console/"


def test_a_number_that_no_column_holds_is_not_found(desk: Client) -> None:
    assert desk.get("/console/c/99999999999999999999999").status_code == 404


def test_the_first_visit_makes_a_profile(client: Client, agent: User, nobody_there: None) -> None:
    client.force_login(agent)
    client.get("/console/")

    assert Agent.objects.get().status == "online"
