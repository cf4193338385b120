"""Where answers go, sending again, and who is one person: what consoles and programs ask."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests import factories
from tests.api.conftest import Caller
from tickets import bus
from tickets.envelopes import Author, Sender
from tickets.events import ResendAsked
from tickets.models import ContactIdentity, IdentityLink, Message, ReplyWindow
from tickets.services import conversations, joining, messages

pytestmark = pytest.mark.django_db
NOWHERE = "0192d3a4-0000-7000-8000-000000000000"


@pytest.fixture
def elsewhere(conversation) -> ContactIdentity:
    """The contact's address on a platform with a window of ten minutes and three messages."""
    inbox = factories.inbox("wechat_oa", key="oa", name="官方号")
    identity = factories.identity(inbox, contact=conversation.contact)
    window = {"opened_at": timezone.now(), "quota": 5, "used": 1, "reserved": 1}
    closes_at = timezone.now() + timedelta(minutes=10)
    ReplyWindow.objects.create(identity=identity, action="message", closes_at=closes_at, **window)
    return identity


@pytest.fixture
def failed(conversation, elsewhere, agent) -> Message:
    """A reply that the platform did not take."""
    message = conversations.post_reply(
        conversation, author=Author.agent(agent.pk), text="已发货", identity=elsewhere,
        now=timezone.now(),
    )  # fmt: skip
    messages.mark_failed(message, code="45015", detail="response out of time limit")
    return message


@pytest.fixture
def suggested(conversation) -> IdentityLink:
    """Somebody else claims the contact's telephone."""
    now = timezone.now()
    joining.note(conversation.identity, Sender("a", phone="13800138000"), now=now)
    joining.note(factories.identity(), Sender("b", phone="13800138000"), now=now)
    return IdentityLink.objects.get()


def path_of(row: object, rest: str) -> str:
    kind = "contacts" if type(row).__name__ == "Contact" else "conversations"
    return f"{kind}/{row.public_id}/{rest}"


# Destinations


def test_each_address_tells_what_its_platform_still_takes(api, conversation, elsewhere):
    answer = api.get(path_of(conversation, "destinations/")).json()

    web, oa = answer["destinations"]
    assert answer["default"] == web["id"] == str(conversation.identity.public_id)
    assert web["window"] == {"allowed": True, "reason": "", "remaining": None, "closes_at": None}
    assert oa["inbox"]["name"] == "官方号"
    assert (oa["window"]["allowed"], oa["window"]["remaining"]) == (True, 3)
    assert oa["window"]["closes_at"].endswith("Z")
    assert answer["presence"] == {"online": False, "page": "", "last_seen": None}


@pytest.mark.parametrize(
    ("window", "inbox", "reason"),
    [
        ({"closes_at": timezone.now() - timedelta(seconds=1)}, {}, "window_closed"),
        ({"used": 5, "reserved": 0}, {}, "quota_used_up"),
        ({}, {"enabled": False}, "channel_off"),
    ],
)
def test_a_closed_address_says_why(api, conversation, elsewhere, window, inbox, reason):
    ReplyWindow.objects.update(**window)
    if inbox:
        type(elsewhere.inbox).objects.filter(pk=elsewhere.inbox_id).update(**inbox)

    found = api.get(path_of(conversation, "destinations/")).json()["destinations"][1]["window"]

    assert (found["allowed"], found["reason"]) == (False, reason)


def test_presence_is_not_told_where_no_channel_knows_it(api):
    inbox = factories.inbox("wechat_oa", key="oa")
    conversation = factories.conversation(factories.identity(inbox))

    assert api.get(path_of(conversation, "destinations/")).json()["presence"] is None


# Sending again


def test_a_failed_reply_is_asked_for_again(api, conversation, failed, monkeypatch):
    asked = []
    monkeypatch.setattr(bus, "publish", lambda *events: asked.extend(events))

    answer = api.post(path_of(conversation, f"messages/{failed.public_id}/resend/"))

    assert (answer.status_code, answer.json()["error"]["code"]) == (202, "45015")
    assert asked == [ResendAsked(failed.pk)]


def test_what_did_not_fail_is_not_sent_again(api, conversation, failed):
    messages.mark_pending(failed)

    answer = api.post(path_of(conversation, f"messages/{failed.public_id}/resend/"))

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "not_failed")


def test_nothing_is_sent_again_through_a_closed_window(api, conversation, failed):
    ReplyWindow.objects.update(closes_at=timezone.now())

    answer = api.post(path_of(conversation, f"messages/{failed.public_id}/resend/"))

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "window_closed")


# One person


def test_a_suggestion_is_told_masked_and_declined_for_ever(caller, agent, conversation, suggested):
    boss = caller("read", "write", agent=factories.user("boss", role="admin"))
    path = path_of(conversation.contact, "suggestions/")
    [told] = boss.get(path).json()["results"]

    assert (told["evidence"], told["value"], told["verified"]) == ("phone", "+86138****8000", False)
    assert boss.post(f"{path}{told['id']}/decline/").status_code == 204

    joining.note(factories.identity(), Sender("c", phone="13800138000"), now=timezone.now())
    suggested.refresh_from_db()
    assert suggested.revoked_by.username == "boss"
    assert told["id"] not in [one["id"] for one in boss.get(path).json()["results"]]


def test_a_program_that_acts_for_nobody_declines_nothing(api, conversation, suggested):
    path = path_of(conversation.contact, f"suggestions/{suggested.public_id}/decline/")

    assert api.post(path).status_code == 403


def test_why_two_are_one_is_told(caller, conversation):
    other = factories.identity()
    boss = caller("read", "write", agent=factories.user("boss", role="admin"))
    path = path_of(conversation.contact, "")
    boss.post(f"{path}merge/", {"contact": str(other.contact.public_id)})

    [link] = boss.get(f"{path}links/").json()["results"]

    assert (link["evidence"], link["actor"], link["value"]) == ("manual", "boss", "")
    assert link["secondary"]["id"] == str(other.contact.public_id)


# Who may


DOORS = [
    ("GET", "conversations/{c}/destinations/", "read"),
    ("POST", "conversations/{c}/messages/{m}/resend/", "write"),
    ("GET", "contacts/{p}/links/", "read"),
    ("GET", "contacts/{p}/suggestions/", "read"),
    ("POST", "contacts/{p}/suggestions/" + NOWHERE + "/decline/", "write"),
]


@pytest.mark.parametrize(("method", "path", "scope"), DOORS)
def test_each_door_is_kept(caller, anonymous, conversation, method, path, scope):
    url = path.format(c=conversation.public_id, p=conversation.contact.public_id, m=NOWHERE)
    stranger = factories.user("zhao", teams=[factories.team("presale")])
    conversations.set_team(conversation, factories.team("vip"), now=timezone.now())

    def status(who: Caller) -> int:
        return who(method, url, None if method == "GET" else {}).status_code

    assert status(anonymous) == 401
    assert status(caller("ai")) == 403
    assert status(caller(scope, agent=stranger)) == 404
