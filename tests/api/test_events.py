"""GET events/: the contract's shape, going on from any id, and what is refused."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.factories import NOON
from tickets.models import FeedEvent
from tickets.services import contacts, feed

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_feed_tells_objects_as_rest_does_oldest_first(api, conversation):
    page = api.get("events/").json()

    assert [e["event"] for e in page["results"]] == [
        "contact.created",
        "conversation.created",
        "message.created",
    ]
    assert set(page["results"][0]) == {"id", "event", "created_at", "data"}
    contact, said, message = (e["data"] for e in page["results"])
    assert contact == api.get(f"contacts/{contact['id']}/").json()
    assert said == api.get(f"conversations/{said['id']}/").json()
    assert [message] == api.get(f"conversations/{said['id']}/messages/").json()["results"]
    assert (page["after"], page["next"]) == (page["results"][-1]["id"], None)


def test_it_goes_on_after_the_last_id_had(api, conversation):
    whole = api.get("events/").json()["results"]

    first = api.get("events/?limit=2").json()
    rest = api.get(f"events/?after={first['results'][-1]['id']}").json()

    assert first["results"] + rest["results"] == whole
    assert api.get(first["next"]).json()["results"] == rest["results"]
    assert api.get(f"events/?after={rest['after']}").json() == {
        "results": [], "after": rest["after"], "next": None,
    }  # fmt: skip


def test_latest_is_the_place_of_now(api, conversation):
    now = api.get("events/?after=latest").json()
    contacts.update(conversation.contact, now=NOON, name="李雷")

    assert now["results"] == []
    [event] = api.get(f"events/?after={now['after']}").json()["results"]
    assert (event["event"], event["data"]["name"]) == ("contact.updated", "李雷")


@pytest.mark.parametrize(
    ("query", "attr"),
    [("after=7", "after"), ("after=evt_1", "after"), ("after=evt_0_-1", "after"),
     ("after=evt_" + "f" * 16 + "_1", "after"), ("after=%00", "after"),
     ("after=" + "x" * 41, "after"), ("limit=0", "limit"), ("limit=101", "limit"),
     ("limit=x", "limit"), ("befor=evt_1_1", "befor")],
)  # fmt: skip
def test_what_cannot_be_read_is_named(api, query, attr):
    answer = api.get(f"events/?{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr


def test_who_comes_too_late_is_told_so(api, conversation):
    first = api.get("events/?limit=1").json()["after"]
    FeedEvent.objects.update(created_at=timezone.now() - timedelta(days=31))
    feed.forget_old(now=timezone.now())

    answer = api.get(f"events/?after={first}")

    assert answer.status_code == 410
    [error] = answer.json()["errors"]
    assert (error["code"], error["attr"]) == ("gone", None)
    assert "begin anew" in error["detail"]


def test_who_may_read_it(caller, anonymous, conversation, agent):
    stranger = factories.user("stranger", teams=[factories.team("other")])
    session = Client()
    session.force_login(stranger)

    assert anonymous.get("events/").status_code == 401
    assert caller("write", "ai", "console", "admin").get("events/").status_code == 403
    assert caller("read", agent=stranger).get("events/").json()["results"] == []
    assert session.get("/api/v1/events/").json()["results"] == []
    assert len(caller("read", agent=agent).get("events/").json()["results"]) == 3
    assert len(caller("read").get("events/").json()["results"]) == 3
    assert caller("read", "write").post("events/").status_code == 405
