"""NX-01: a merge is links, and undone exactly; one live conversation a contact."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import factories
from tests.factories import NOON
from tickets.errors import NotMergeable
from tickets.models import ContactIdentity, Conversation, IdentityLink, Message
from tickets.services import contacts

PEOPLE = 4
MANUAL = IdentityLink.Evidence.MANUAL


def timeline(identity: ContactIdentity) -> list[str]:
    """What this address wrote, in the order of the logs in which it stands."""
    rows = Message.objects.filter(identity=identity, kind="incoming")
    return list(rows.order_by("conversation_id", "seq").values_list("text", flat=True))


def logs_are_whole() -> None:
    for conversation in Conversation.objects.all():
        seqs = list(conversation.messages.in_order().values_list("seq", flat=True))
        assert seqs == list(range(1, conversation.last_seq + 1))


def merge(a: ContactIdentity, b: ContactIdentity, actor) -> IdentityLink | None:
    try:
        return contacts.link(a.home, b.home, evidence=MANUAL, actor=actor, source="t", now=NOON)
    except NotMergeable:
        return None


@pytest.mark.django_db
def test_a_merge_keeps_one_live_conversation_and_its_undo_restores_both(agent):
    web, phone = factories.identity(), factories.identity(factories.inbox("api"))
    first, second = factories.conversation(web, text="一"), factories.conversation(phone, text="二")
    lease_before = Conversation.objects.get(pk=second.pk).lease

    link = merge(web, phone, agent)
    assert Conversation.objects.live().get() == first
    factories.say(phone, "合并时说的")
    assert Conversation.objects.get(pk=first.pk).last_seq == 2
    assert contacts.unlink(link, now=NOON, actor=agent)

    live = Conversation.objects.live().order_by("pk")
    assert [(c.pk, c.contact_id, c.status) for c in live] == [
        (first.pk, web.home_id, "bot"),
        (second.pk, phone.home_id, "bot"),
    ]
    assert timeline(web) == ["一"]
    assert timeline(phone) == ["二", "合并时说的"]
    assert Conversation.objects.get(pk=second.pk).lease > lease_before
    logs_are_whole()
    kinds = first.messages.in_order().values_list("seq", "kind", "text")
    assert list(kinds) == [(1, "incoming", "一"), (2, "note", "")]


@pytest.mark.django_db
def test_an_unproven_link_joins_nobody(agent):
    a, b = factories.identity(), factories.identity(factories.inbox("api"))

    contacts.link(a.home, b.home, evidence=IdentityLink.Evidence.PHONE, source="t", now=NOON)

    assert ContactIdentity.objects.get(pk=b.pk).contact == b.home


@pytest.mark.django_db
def test_a_contact_cannot_be_merged_with_itself(agent):
    a = factories.identity()

    with pytest.raises(NotMergeable):
        contacts.link(a.contact, a.contact, evidence=MANUAL, actor=agent, source="t", now=NOON)


@pytest.mark.django_db
def test_a_link_is_revoked_once(agent):
    a, b = factories.identity(), factories.identity(factories.inbox("api"))
    link = merge(a, b, agent)

    assert contacts.unlink(link, now=NOON)
    assert not contacts.unlink(link, now=NOON)


person = st.integers(0, PEOPLE - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), person),
        st.tuples(st.just("merge"), person, person),
        st.tuples(st.just("undo"), st.integers(0, 9)),
    ),
    max_size=14,
)


@pytest.mark.django_db
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
# The stranger in a thread that was put aside goes home to a live one.
@example([("say", 0), ("say", 2), ("merge", 1, 2), ("say", 1), ("merge", 0, 2)])
def test_after_undoing_everything_it_is_as_if_never_merged(rollback, steps):
    with rollback():
        actor = factories.user()
        inboxes = [factories.inbox("web") for _ in range(PEOPLE)]
        people = [factories.identity(inbox) for inbox in inboxes]
        said: dict[int, list[str]] = {index: [] for index in range(PEOPLE)}
        links: list[IdentityLink] = []
        for number, step in enumerate(steps):
            if step[0] == "say":
                identity = ContactIdentity.objects.get(pk=people[step[1]].pk)
                factories.say(identity, f"{number}")
                said[step[1]].append(f"{number}")
            elif step[0] == "merge" and step[1] != step[2]:
                if link := merge(people[step[1]], people[step[2]], actor):
                    links.append(link)
            elif step[0] == "undo" and links:
                contacts.unlink(links.pop(step[1] % len(links)), now=NOON)
            logs_are_whole()
        for link in links:
            contacts.unlink(link, now=NOON)

        assert not IdentityLink.objects.joining().exists()
        for index, identity in enumerate(people):
            now = ContactIdentity.objects.get(pk=identity.pk)
            assert now.contact_id == now.home_id
            assert timeline(now) == said[index]
            live = Conversation.objects.live().filter(contact=now.home)
            assert live.count() == (1 if said[index] else 0)
            for conversation in Conversation.objects.filter(contact=now.home):
                foreign = conversation.messages.exclude(identity=None).exclude(identity=now)
                assert not foreign.exists()
        logs_are_whole()
