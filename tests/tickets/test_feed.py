"""The change feed: nothing is passed over, whatever order transactions commit in."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from random import Random

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests import factories
from tests.factories import NOON
from tickets import bus, prepared
from tickets.envelopes import Author, InboundMessage, Sender
from tickets.errors import FeedGone
from tickets.events import ContactChanged
from tickets.models import Contact, FeedEvent, FeedHorizon, IdentityLink, Ticket, Webhook
from tickets.models.feed_event import Position
from tickets.policy import Principal, Role, principal_of
from tickets.services import contacts, conversations, feed, messages, tickets, webhooks

pytestmark = pytest.mark.django_db(transaction=True)
EVERYTHING = Principal(None, Role.ADMIN, frozenset())


def read_all(principal: Principal = EVERYTHING, after: Position | None = None) -> list[dict]:
    events: list[dict] = []
    while True:
        page = feed.read(principal, after=after, limit=100)
        events += page.events
        after = page.after
        if not page.more:
            return events


def since(place: Position) -> list[tuple[str, str]]:
    """(event, id of its object) of what came after a place."""
    return [(e["event"], e["data"]["id"]) for e in read_all(after=place)]


class Writer:
    """A transaction on a connection of its own, held open until it is let go."""

    def __init__(self, contact: Contact, name: str) -> None:
        self._written, self._go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(contact, name))
        self._thread.start()
        assert self._written.wait(10)

    def _run(self, contact: Contact, name: str) -> None:
        try:
            with transaction.atomic():
                contacts.update(contact, now=NOON, name=name)
                self._written.set()
                assert self._go.wait(10)
        finally:
            connection.close()

    def commit(self) -> None:
        self._go.set()
        self._thread.join(10)


def test_what_commits_late_is_not_passed_over():
    slow, fast = contacts.create(now=NOON), contacts.create(now=NOON)
    place = feed.end()
    first = Writer(slow, "慢")
    second = Writer(fast, "快")

    second.commit()
    held_back = feed.read(EVERYTHING, after=place, limit=100)
    first.commit()

    # The later number is committed, and not shown: the earlier one may still come.
    assert held_back.events == []
    assert [e["data"]["name"] for e in read_all(after=held_back.after)] == ["慢", "快"]


def test_a_transaction_that_began_to_write_first_but_notes_last_keeps_its_place():
    """Its number is higher than one that was read already, its transaction older."""
    early, late = contacts.create(now=NOON), contacts.create(now=NOON)
    place = feed.end()
    begun, go = threading.Event(), threading.Event()

    def old_transaction() -> None:
        try:
            with transaction.atomic():
                Contact.objects.filter(pk=early.pk).update(phone="1")  # an xid, and no event yet
                begun.set()
                assert go.wait(10)
                bus.publish(ContactChanged(early.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=old_transaction)
    thread.start()
    assert begun.wait(10)
    contacts.update(late, now=NOON, name="新")
    page = feed.read(EVERYTHING, after=place, limit=100)
    go.set()
    thread.join(10)

    assert page.events == []
    assert [name for _, name in since(page.after)] == [str(early.public_id), str(late.public_id)]


def test_many_writers_and_a_reader_who_goes_on_from_each_page():
    people = [contacts.create(now=NOON) for _ in range(6)]
    place = feed.end()
    writing = threading.Event()
    writing.set()

    def write(index: int) -> None:
        chance = Random(index)
        try:
            for number in range(15):
                try:
                    with transaction.atomic():
                        contacts.update(people[index], now=NOON, name=f"{index}-{number}")
                        with connection.cursor() as cursor:
                            cursor.execute("SELECT pg_sleep(%s)", [chance.random() / 100])
                        if chance.random() < 0.2:
                            raise LookupError  # rolled back: never seen
                except LookupError:
                    pass
        finally:
            connection.close()

    def follow() -> list[str]:
        ids: list[str] = []
        after, last_round = place, False
        try:
            while True:
                page = feed.read(EVERYTHING, after=after, limit=3)
                ids += [event["id"] for event in page.events]
                after = page.after
                if last_round and not page.more:
                    return ids
                last_round = not writing.is_set()
        finally:
            connection.close()

    with ThreadPoolExecutor(7) as pool:
        reader = pool.submit(follow)
        for writer in [pool.submit(write, index) for index in range(6)]:
            writer.result(30)
        writing.clear()
        read = reader.result(30)

    stored = [str(row) for row in FeedEvent.objects.after(place).in_order()]
    assert read == stored
    assert 30 < len(stored) <= 90


def test_what_is_rolled_back_was_never_there():
    place = feed.end()

    with transaction.atomic():
        contacts.create(now=NOON)
        transaction.set_rollback(True)

    assert since(place) == []


# What is told ---------------------------------------------------------------------------------


@contextmanager
def told(*expected: str) -> Iterator[None]:
    place = feed.end()
    yield
    assert [event for event, _ in since(place)] == list(expected)


def test_a_persons_first_message_tells_contact_conversation_and_message(web_inbox):
    message = InboundMessage(inbox_id=web_inbox.pk, sender=Sender("u1"), text="在吗")

    with told("contact.created", "conversation.created", "message.created"):
        conversations.receive([message], now=NOON)
    with told("message.created"):
        conversations.receive([message], now=NOON)


def test_the_story_of_a_conversation(conversation, agent):
    by = Author.agent(agent.pk)

    with told(
        "message.created", "conversation.assigned", "message.created", "conversation.updated"
    ):
        conversations.post_reply(conversation, author=by, text="您好", now=NOON)
    with told("message.created", "conversation.updated"):  # it waited for the contact
        factories.say(conversation.identity)
    with told("conversation.updated"):
        conversations.set_priority(conversation, 4, now=NOON)
    with told("message.created", "conversation.resolved", "conversation.updated"):
        conversations.resolve(conversation, by=by, now=NOON)


def test_a_delivery_status_updates_its_message(agent):
    identity = factories.identity(factories.inbox("wechat_oa"))
    conversation = factories.conversation(identity)
    message = conversations.post_reply(
        conversation, author=Author.agent(agent.pk), text="您好", now=NOON
    )

    with told("message.updated"):
        messages.mark_sent(message, source_id="m1")


def test_a_merge_and_its_undo(web_inbox):
    stays, goes = (factories.identity(web_inbox).contact for _ in range(2))
    place = feed.end()

    link = contacts.link(stays, goes, evidence=IdentityLink.Evidence.EMAIL, verified=True, now=NOON)

    assert since(place) == [
        ("contact.updated", str(stays.public_id)),
        ("contact.updated", str(goes.public_id)),
        ("contact.merged", str(goes.public_id)),
    ]
    assert read_all(after=place)[-1]["data"]["merged_into"] == str(stays.public_id)
    with told("contact.updated", "contact.updated"):
        contacts.unlink(link, now=NOON)


def test_tickets(conversation):
    with told("ticket.created", "ticket.updated", "ticket.updated"):
        ticket = tickets.open_ticket(title="退款", conversations=(conversation,), now=NOON)
        tickets.set_status(ticket, Ticket.Status.PENDING, now=NOON)
        tickets.set_priority(ticket, 3, now=NOON)

    [*_, last] = read_all()
    assert last["data"] == {
        "id": str(ticket.public_id), "number": ticket.pk, "title": "退款", "status": "pending",
        "priority": "high", "type": "", "team": "aftersale", "owner": None,
        "contact": str(conversation.contact.public_id),
        "conversations": [str(conversation.public_id)], "custom": {}, "sla": [],
        "created_at": "2026-06-02T04:00:00.000Z", "updated_at": "2026-06-02T04:00:00.000Z",
    }  # fmt: skip


def test_of_a_deleted_object_the_id_is_left():
    place = feed.end()
    contact = contacts.create(now=NOON)
    contact.delete()

    [event] = read_all(after=place)

    assert event["data"] == {"id": str(contact.public_id), "deleted": True}


@pytest.fixture
def prepared_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes by `prepared`, beside Django's own count."""
    said: list[str] = []
    execute = prepared._PreparingCursor.execute

    def noting(self, query, params=None, **options):
        said.append(query)
        return execute(self, query, params, **options)

    monkeypatch.setattr(prepared._PreparingCursor, "execute", noting)
    return said


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("known", [True, False])
def test_a_batch_of_messages_is_noted_by_one_statement(
    web_inbox, prepared_statements: list[str], known: bool, count: int
):
    people = [factories.identity(web_inbox) for _ in range(count)]
    for person in people if known else ():
        factories.say(person)
    place = feed.end()
    prepared_statements.clear()

    batch = [
        InboundMessage(inbox_id=web_inbox.pk, identity_id=person.pk, text="好", client_id="c")
        for person in people
    ]
    conversations.receive(batch, now=NOON)

    assert sum("tickets_feedevent" in statement for statement in prepared_statements) == 1
    assert len(since(place)) == count * (1 if known else 2)


# Who sees what --------------------------------------------------------------------------------


def test_an_agent_sees_what_they_may_see_and_comes_past_the_rest(conversation, agent):
    other = factories.user(teams=[factories.team("other")])
    page = feed.read(principal_of(other), after=None, limit=100)

    assert page.events == []
    assert page.after == FeedEvent.objects.in_order().last().position
    seen = [event["event"] for event in read_all(principal_of(agent))]
    assert seen == ["contact.created", "conversation.created", "message.created"]
    assert len(read_all()) == 3


def test_a_page_of_an_agent_ends_at_the_last_row_shown(
    conversation, agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feed, "SCAN", 2)
    whole = read_all()

    page = feed.read(principal_of(agent), after=None, limit=1)

    assert [event["id"] for event in page.events] == [whole[0]["id"]]
    assert (str(page.after), page.more) == (whole[0]["id"], True)
    assert read_all(principal_of(agent)) == whole


def test_the_number_of_queries_does_not_grow(web_inbox, agent, django_assert_num_queries: Callable):
    factories.conversation(factories.identity(web_inbox))
    principal = principal_of(agent)
    with django_assert_num_queries(9):  # rows 1, what is seen 3, objects 2 + 2 + 1
        assert len(feed.read(principal, after=None, limit=100).events) == 3
    for _ in range(3):
        factories.conversation(factories.identity(web_inbox))

    with django_assert_num_queries(9):
        assert len(feed.read(principal, after=None, limit=100).events) == 12


# Forgetting -----------------------------------------------------------------------------------


def grow_old(days: int) -> None:
    FeedEvent.objects.update(created_at=timezone.now() - timedelta(days=days))


def test_what_is_old_is_forgotten_and_who_comes_too_late_is_told(conversation):
    old = [row.position for row in FeedEvent.objects.in_order()]
    grow_old(31)
    contacts.update(conversation.contact, now=NOON, name="新")

    assert feed.forget_old(now=timezone.now()) == 3

    assert [event for event, _ in since(old[-1])] == ["contact.updated"]  # missed nothing
    assert [e["event"] for e in read_all()] == ["contact.updated"]
    for place in (old[0], old[1], Position(1, 1)):
        with pytest.raises(FeedGone, match="forgotten"):
            feed.read(EVERYTHING, after=place, limit=10)


def test_who_had_all_goes_on_however_long_nothing_happened(conversation):
    [*_, last] = FeedEvent.objects.in_order()
    grow_old(400)
    feed.forget_old(now=timezone.now())
    assert FeedEvent.objects.count() == 0

    assert feed.read(EVERYTHING, after=last.position, limit=10).events == []


def test_what_is_young_stays(conversation, settings):
    grow_old(29)
    assert feed.forget_old(now=timezone.now()) == 0

    settings.FEED_KEPT_DAYS = 7
    assert feed.forget_old(now=timezone.now()) == 3
    assert FeedHorizon.objects.count() == 1


def test_a_place_of_another_database_is_refused(conversation):
    with pytest.raises(FeedGone, match="not come so far"):
        feed.read(EVERYTHING, after=Position(2**50, 1), limit=10)


def test_a_restored_feed_goes_on_where_it_was(conversation):
    """The backup is of a server that had run more transactions than this one ever did."""
    rows = list(FeedEvent.objects.in_order())
    ahead = 2**40
    for number, row in enumerate(rows):
        FeedEvent.objects.filter(pk=row.pk).update(xid=ahead + number)
    hook, _ = webhooks.create(url="https://example.com/")
    Webhook.objects.update(cursor_xid=ahead, cursor_id=rows[0].pk)
    assert read_all() == []

    assert feed.settle_restored()
    contacts.update(conversation.contact, now=NOON, name="新")

    names = ["contact.created", "conversation.created", "message.created", "contact.updated"]
    assert [event["event"] for event in read_all()] == names
    hook.refresh_from_db()
    assert [event["event"] for event in read_all(after=hook.cursor)] == names[1:]
    with pytest.raises(FeedGone):
        feed.read(EVERYTHING, after=Position(ahead, rows[0].pk), limit=10)
    assert not feed.settle_restored()
