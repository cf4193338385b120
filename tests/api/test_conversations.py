"""conversations/ and what hangs below it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import AssignmentReceipt
from tests import factories
from tests.factories import NOON
from tickets import payloads
from tickets.models import Conversation, Label, Message

pytestmark = pytest.mark.django_db


def test_a_list_shows_the_newest_first_and_each_conversation_as_the_contract_says(api, web_inbox):
    first = factories.conversation(factories.identity(web_inbox), now=NOON)
    second = factories.conversation(factories.identity(web_inbox), now=NOON + timedelta(hours=1))

    page = api.get("conversations/").json()

    rows = payloads.conversations_for_payload(Conversation.objects.all())
    shown = {row.pk: payloads.conversation_payload(row) for row in rows}
    assert page == {
        "results": [shown[second.pk], shown[first.pk]],
        "next": None,
        "previous": None,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=bot", True),
        ("status=open", False),
        ("inbox=web-demo", True),
        ("inbox=other", False),
        ("team=aftersale", True),
        ("team=other", False),
        ("assignee=nobody", False),
        ("label=退款", True),
        ("label=别的", False),
        ("q=包裹", True),
        ("q=100%25", False),
        ("updated_after=2020-01-01T00:00:00Z", True),
        ("updated_after=2090-01-01T00:00:00.000Z", False),
        ("contact=not-a-known-one", False),
    ],
)
def test_a_filter_chooses(api, web_inbox, query, found):
    conversation = factories.conversation(factories.identity(web_inbox), text="我的包裹在哪里")
    label = Label.objects.create(name="退款")
    conversation.labels.add(label)

    page = api.get(f"conversations/?{query}").json()

    assert [row["id"] for row in page["results"]] == [str(conversation.public_id)] * found


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ("status=happy", "status"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("updated_after=yesterday", "updated_after"),
        ("updated_after=0001-01-01T00:00:00Z", "updated_after"),
        ("cursor=nonsense", "cursor"),
        ("cursor=WzAsMV0", "cursor"),
        ("colour=red", "colour"),
        ("q=%00", "q"),
        ("contact=%27", "contact"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named(api, query, attr):
    answer = api.get(f"conversations/?{query}")

    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"
    assert [error["attr"] for error in answer.json()["errors"]] == [attr]


def test_pages_bring_each_row_once_whatever_is_added_meanwhile(api, web_inbox):
    there = [
        factories.conversation(factories.identity(web_inbox), now=NOON + timedelta(minutes=n // 2))
        for n in range(7)
    ]
    seen, url, pages = [], "conversations/?limit=2", []

    while url:
        page = api.get(url).json()
        pages.append(page)
        seen += [row["number"] for row in page["results"]]
        factories.conversation(factories.identity(web_inbox), now=NOON + timedelta(days=1))
        url = page["next"]

    assert seen == [c.pk for c in reversed(there)]
    back = api.get(pages[1]["previous"]).json()
    assert [row["number"] for row in back["results"]] == [
        row["number"] for row in pages[0]["results"]
    ]


@pytest.mark.parametrize("path", ["conversations/", "conversations/{id}/messages/", "contacts/"])
def test_a_list_asks_the_same_number_of_queries_for_one_row_and_for_three(api, web_inbox, path):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert api.get(path.format(id=first.public_id)).status_code == 200
        return len(captured)

    first = factories.conversation(factories.identity(web_inbox))
    api.get("teams/")  # the key's last use is noted once
    with_one = queries()
    for _ in range(2):
        factories.conversation(factories.identity(web_inbox))
        factories.say(first.identity)

    assert queries() == with_one
    assert with_one <= 4


def test_a_patch_changes_labels_priority_and_custom_fields(api, conversation):
    Label.objects.create(name="退款")
    path = f"conversations/{conversation.public_id}/"

    answer = api.patch(path, {"labels": ["退款"], "priority": "high", "custom": {"order": 42}})

    assert answer.status_code == 200
    body = answer.json()
    assert (body["labels"], body["priority"], body["custom"]) == (["退款"], "high", {"order": 42})


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"labels": ["没有"]}, "labels"),
        ({"labels": "退款"}, "labels"),
        ({"priority": "extreme"}, "priority"),
        ({"custom": []}, "custom"),
        ({"custom": {"a": "\x00"}}, "custom"),
        ({"custom": {"a": "\ud800"}}, "custom"),
        ({"status": "resolved"}, "status"),
        ([], "non_field_errors"),
    ],
)
def test_a_patch_that_cannot_be_is_refused_by_field(api, conversation, body, attr):
    answer = api.patch(f"conversations/{conversation.public_id}/", body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr


def test_messages_come_oldest_first_after_a_number(api, conversation):
    factories.say(conversation.identity, "第二句")
    factories.say(conversation.identity, "第三句")

    everything = api.get(f"conversations/{conversation.public_id}/messages/?limit=2").json()
    rest = api.get(everything["next"]).json()
    later = api.get(f"conversations/{conversation.public_id}/messages/?after_seq=2").json()

    log = Message.objects.filter(conversation=conversation).in_order()
    seqs = [message.seq for message in log]
    assert [m["seq"] for m in everything["results"] + rest["results"]] == seqs[
        : 2 + len(rest["results"])
    ]
    assert [m["seq"] for m in later["results"]] == seqs[2:]


def test_an_agents_reply_takes_over_and_a_programs_is_the_systems(api, caller, agent, conversation):
    path = f"conversations/{conversation.public_id}/messages/"
    as_agent = caller("read", "write", agent=agent)

    systems = api.post(path, {"text": "您好"})
    agents = as_agent.post(path, {"text": "我来看看", "client_id": "c1"})
    again = as_agent.post(path, {"text": "另一句", "client_id": "c1"})

    assert systems.status_code == 201
    assert systems.json()["author"]["kind"] == "system"
    assert agents.json()["author"] == {"kind": "agent", "name": "wangfang", "avatar": None}
    assert again.json() == agents.json()
    conversation.refresh_from_db()
    assert conversation.assignee == agent


def test_text_is_kept_but_for_nul_and_lone_surrogates(api, conversation):
    path = f"conversations/{conversation.public_id}/messages/"

    answer = api.client.post(
        f"/api/v1/{path}", r'{"text": " a\u0000b\ud800😀 "}', content_type="application/json"
    )

    assert answer.json()["text"] == " ab\ufffd😀 "


@pytest.mark.parametrize(
    ("body", "status", "attr"),
    [
        ({}, 400, "text"),
        ({"text": "  "}, 400, "text"),
        ({"text": 5}, 400, "text"),
        ({"text": "x", "note": "yes"}, 400, "note"),
        ({"text": "x", "attachments": ["nothing"]}, 400, "attachments"),
        (
            {"text": "x", "attachments": ["0192d3a4-0000-7000-8000-000000000000"]},
            400,
            "attachments",
        ),
        ({"text": "x", "identity": "nobody"}, 400, "identity"),
        ({"text": "x", "if_last_seq": 10**30}, 400, "if_last_seq"),
        ({"text": "x", "if_last_seq": True}, 400, "if_last_seq"),
        ({"text": "x", "if_last_seq": 0}, 409, None),
        ({"text": "x" * 4001}, 413, None),
        ({"text": "x", "attachments": ["a"] * 10_000}, 413, None),
        ({"text": "x", "mood": "good"}, 400, "mood"),
    ],
)
def test_a_message_that_cannot_be_is_refused(api, conversation, body, status, attr):
    answer = api.post(f"conversations/{conversation.public_id}/messages/", body)

    assert answer.status_code == status
    assert answer.json()["errors"][0]["attr"] == attr


def test_a_conversation_goes_its_way_and_refuses_illegal_steps(api, caller, agent, conversation):
    path = f"conversations/{conversation.public_id}"
    as_agent = caller("read", "write", agent=agent)
    until = "2090-01-01T00:00:00.000Z"

    steps = [
        as_agent.post(f"{path}/snooze/", {"until": until}),
        as_agent.post(f"{path}/take-over/"),
        as_agent.post(f"{path}/snooze/", {"until": until}),
        as_agent.post(f"{path}/return-to-bot/"),
        api.post(f"{path}/assign/", {"agent": "wangfang"}),
        api.post(f"{path}/transfer/", {"team": "aftersale", "note": "请看"}),
        as_agent.post(f"{path}/resolve/"),
        as_agent.post(f"{path}/resolve/"),
        as_agent.post(f"{path}/reopen/"),
    ]

    told = [a.json().get("status") or a.json()["errors"][0]["code"] for a in steps]
    assert told == [
        "illegal_status",
        "open",
        "snoozed",
        "bot",
        "open",
        "queued",
        "resolved",
        "illegal_status",
        "open",
    ]
    assert [a.status_code for a in steps] == [409, 200, 200, 200, 200, 200, 200, 409, 200]


def test_what_was_put_off_is_reopened_with_its_agent(api, caller, agent, conversation):
    path = f"conversations/{conversation.public_id}"
    as_agent = caller("read", "write", agent=agent)
    as_agent.post(f"{path}/take-over/")
    as_agent.post(f"{path}/snooze/", {"until": "2090-01-01T00:00:00.000Z"})

    woken = as_agent.post(f"{path}/reopen/")

    assert (woken.status_code, woken.json()["status"]) == (200, "open")
    assert woken.json()["owner"]["name"] == "wangfang"
    last = api.get(f"{path}/messages/").json()["results"][-1]
    assert (last["kind"], last["activity"]) == ("activity", "reopened")
    assert as_agent.post(f"{path}/reopen/").status_code == 409


def test_a_key_that_acts_for_nobody_cannot_take_over(api, conversation):
    answer = api.post(f"conversations/{conversation.public_id}/take-over/")

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("step", "body", "attr"),
    [
        ("assign", {"agent": "nobody"}, "agent"),
        ("assign", {}, "agent"),
        ("transfer", {}, "team"),
        ("transfer", {"team": "nothing"}, "team"),
        ("snooze", {"until": "2001-01-01T00:00:00Z"}, "until"),
        ("snooze", {"until": 5}, "until"),
        ("resolve", {"why": "done"}, "why"),
    ],
)
def test_a_step_that_names_what_is_not_there_is_refused(api, conversation, step, body, attr):
    answer = api.post(f"conversations/{conversation.public_id}/{step}/", body)

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)


def test_receipts_of_a_conversation_are_listed(api, agent, conversation):
    AssignmentReceipt.objects.create(
        conversation=conversation, agent=agent, at=NOON, strategy="least_busy", candidates=[]
    )

    page = api.get(f"conversations/{conversation.public_id}/assignments/").json()

    assert page["results"] == [
        {
            "agent": "wangfang",
            "at": "2026-06-02T04:00:00.000Z",
            "strategy": "least_busy",
            "candidates": [],
        }
    ]
