"""One person over all channels: proof joins, claims suggest, people have the last word."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tests.factories import NOON
from tickets import intake
from tickets.envelopes import InboundMessage, Sender
from tickets.models import Contact, ContactIdentity, Conversation, IdentityLink, Message
from tickets.services import contacts, continuing, joining

pytestmark = pytest.mark.django_db


def writes(
    inbox, external_id: str, text: str = "你好", *, source_id: str = "", **sender
) -> Contact:
    """A platform hands in a message; the contact who it is found to be."""
    message = InboundMessage(
        inbox_id=inbox.pk,
        text=text,
        source_id=source_id or f"{external_id}:{text}",
        sender=Sender(external_id, verified=True, **sender),
    )
    intake.accept(message, now=NOON)
    for lane in range(16):
        intake.drain(lane, now=NOON)
    return ContactIdentity.objects.get(inbox=inbox, external_id=external_id).contact


@pytest.fixture
def oa():
    return factories.inbox("wechat_oa", key="oa")


@pytest.fixture
def kf():
    return factories.inbox("wecom_kf", key="kf")


@pytest.fixture
def mail():
    return factories.inbox("email", key="mail")


def test_one_unionid_is_one_person_with_one_thread(oa, kf):
    first = writes(oa, "o-1", "我从公众号来", union_id="wechat:u1")
    second = writes(kf, "wm-1", "我从客服来", union_id="wechat:u1")

    assert first == second
    conversation = Conversation.objects.live().get()
    said = conversation.messages.filter(kind="incoming").order_by("seq")
    assert [(m.text, m.inbox.key) for m in said] == [("我从公众号来", "oa"), ("我从客服来", "kf")]
    link = IdentityLink.objects.get()
    assert (link.evidence, link.verified, link.source) == ("unionid", True, "kf")


def test_a_proof_that_comes_after_a_claim_joins_and_no_later_claim_undoes_it(oa, kf):
    proven = writes(oa, "o-1", phone="13800138000", phone_verified=True)
    assert writes(kf, "wm-1", phone="13800138000") != proven

    assert writes(kf, "wm-1", "已验证", phone="13800138000", phone_verified=True) == proven
    assert writes(kf, "wm-1", "又来", phone="13800138000") == proven
    other = writes(factories.inbox("wecom"), "z", phone="13800138000", phone_verified=True)
    assert other == proven


def test_unionids_of_other_platforms_say_nothing(oa, kf):
    assert writes(oa, "o-1", union_id="wechat:u1") != writes(kf, "f-1", union_id="feishu:u1")


def test_a_verified_phone_joins_and_a_claimed_one_only_suggests(oa, kf, mail):
    proven = writes(oa, "o-1", phone="138 0013 8000", phone_verified=True)
    also_proven = writes(kf, "wm-1", phone="+8613800138000", phone_verified=True)
    claimed = writes(mail, "a@b.example", phone="13800138000")

    assert also_proven == proven
    assert claimed != proven
    [suggestion] = joining.suggestions(claimed)
    assert (suggestion.evidence, suggestion.detail) == ("phone", "+8613800138000")


def test_mail_addresses_are_the_same_in_any_case(oa, mail):
    one = writes(mail, "a@b.example", email="Zhang.San@B.example", email_verified=True)
    other = writes(oa, "o-1", email="zhang.san@b.example", email_verified=True)

    assert one == other


@pytest.mark.parametrize("phone", ["", "12", "no number", "1" * 40, "+", "\U0001f600"])
def test_what_is_no_telephone_number_says_nothing(oa, kf, phone):
    assert writes(oa, "o-1", phone=phone) != writes(kf, "wm-1", phone=phone)


def test_a_join_that_a_person_undid_is_not_made_again_from_the_same_evidence(oa, kf, agent):
    writes(oa, "o-1", union_id="wechat:u1")
    writes(kf, "wm-1", union_id="wechat:u1")
    contacts.unlink(IdentityLink.objects.get(), now=NOON, actor=agent)

    first = writes(oa, "o-1", "再来", union_id="wechat:u1")
    second = writes(kf, "wm-1", "再来", union_id="wechat:u1")

    assert first != second
    assert not list(joining.suggestions(first))


def test_a_suggestion_that_a_person_declined_does_not_come_back(oa, mail, agent):
    writes(oa, "o-1", phone="13800138000", phone_verified=True)
    claimed = writes(mail, "a@b.example", phone="13800138000")
    contacts.unlink(IdentityLink.objects.get(), now=NOON, actor=agent)
    writes(mail, "a@b.example", "再来", phone="13800138000")

    assert not list(joining.suggestions(claimed))


def test_a_telephone_of_many_is_no_evidence(oa):
    people = {writes(oa, f"o-{n}", phone="13800138000").pk for n in range(joining.MOST_ALIKE + 3)}
    latest = writes(oa, "o-last", phone="13800138000", phone_verified=True)

    assert latest.pk not in people
    assert not list(joining.suggestions(latest))


# 扫码继续 --------------------------------------------------------------------------------------


def test_a_scanned_token_brings_the_visitor_along(web_inbox, oa):
    visitor = factories.identity(web_inbox)
    factories.say(visitor, "网页上问的")
    token = continuing.token_for(visitor.contact, now=NOON)
    assert len(token) == 40

    arrived = writes(oa, "o-1", "到微信了", proof=token)

    assert arrived == visitor.contact
    assert Conversation.objects.live().get().messages.filter(kind="incoming").count() == 2
    assert IdentityLink.objects.get().evidence == "scan"


def test_a_used_token_is_used_in_every_spelling(web_inbox, oa):
    visitor = factories.identity(web_inbox)
    token = continuing.token_for(visitor.contact, now=NOON)
    writes(oa, "o-1", proof=token)

    for number, spelled in enumerate([f"{token[:4]}!!!!{token[4:]}", f"{token}=", f" {token}"]):
        assert writes(oa, f"o-{number + 2}", proof=spelled) != visitor.contact


def test_a_token_is_one_persons(web_inbox, oa):
    visitor = factories.identity(web_inbox)
    token = continuing.token_for(visitor.contact, now=NOON)
    first = writes(oa, "o-1", proof=token)
    again = writes(oa, "o-1", "再来", proof=token)
    thief = writes(oa, "o-2", proof=token)

    assert first == again == visitor.contact
    assert thief != visitor.contact


@pytest.mark.parametrize("change", ["late", "altered", "short", "empty", "noise"])
def test_no_other_token_says_anything(web_inbox, oa, change):
    visitor = factories.identity(web_inbox)
    token = continuing.token_for(visitor.contact, now=NOON)
    if change == "late":
        token = continuing.token_for(visitor.contact, now=NOON - timedelta(hours=1))
    changed = {"altered": "B" + token[1:], "short": token[:-1], "empty": "", "noise": "é/=="}

    assert writes(oa, "o-1", proof=changed.get(change, token)) != visitor.contact


# Everything undone is as never done -----------------------------------------------------------

PEOPLE = 4
step = st.one_of(
    st.tuples(st.just("write"), st.integers(0, PEOPLE - 1), st.integers(0, 2)),
    st.tuples(st.just("undo"), st.integers(0, 9), st.just(0)),
)


@pytest.mark.django_db(transaction=False)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(step, max_size=10))
def test_after_undoing_all_joins_each_address_has_its_own_again(rollback, steps):
    """Whatever was proven, written and undone in between, and in whichever order."""
    with rollback():
        inboxes = [factories.inbox("wechat_oa") for _ in range(PEOPLE)]
        boss = factories.user()
        written: list[tuple[int, str]] = []
        for number, (act, who, value) in enumerate(steps):
            if act == "write":
                text = f"第 {number} 条"
                writes(inboxes[who], "o", text, source_id=str(number), union_id=f"wechat:{value}")
                written.append((who, text))
            elif links := list(IdentityLink.objects.standing().order_by("pk")):
                contacts.unlink(links[who % len(links)], now=NOON, actor=boss)
        for link in IdentityLink.objects.standing().order_by("-pk"):
            contacts.unlink(link, now=NOON, actor=boss)

        for identity in ContactIdentity.objects.all():
            assert identity.contact_id == identity.home_id
        for who, inbox in enumerate(inboxes):
            mine = Message.objects.filter(inbox=inbox, kind="incoming").order_by("pk")
            assert [m.text for m in mine] == [text for w, text in written if w == who]
            owners = {m.conversation.contact_id for m in mine}
            homes = set(
                ContactIdentity.objects.filter(inbox=inbox).values_list("home_id", flat=True)
            )
            assert owners <= homes
