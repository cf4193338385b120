"""Contacts' messages into the log: once, in order, in a constant number of statements."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.factories import NOON
from tickets.envelopes import Author, InboundMessage, Sender
from tickets.models import Contact, Conversation, Message
from tickets.services import contacts, conversations

pytestmark = pytest.mark.django_db


def written(identity, text, **values):
    return InboundMessage(
        inbox_id=identity.inbox_id,
        identity_id=identity.pk,
        text=text,
        client_id=values.pop("client_id", str(uuid.uuid4())),
        **values,
    )


def log_of(conversation_id):
    rows = Message.objects.filter(conversation=conversation_id).in_order()
    return list(rows.values_list("seq", "kind", "text"))


def test_the_first_message_opens_a_conversation_with_the_bot(web_inbox):
    identity = factories.identity(web_inbox)

    [received] = conversations.receive([written(identity, "在吗")], now=NOON)

    conversation = Conversation.objects.get()
    assert received.conversation_id == conversation.pk
    assert (received.seq, received.skipped, received.duplicate) == (1, (), False)
    assert (conversation.status, conversation.owner_kind) == ("bot", "bot")
    assert (conversation.unread, conversation.waiting_since) == (1, NOON)
    assert conversation.team == web_inbox.team
    assert log_of(conversation.pk) == [(1, "incoming", "在吗")]


def test_a_batch_of_many_conversations_numbers_each_log_without_a_gap(web_inbox):
    people = [factories.identity(web_inbox) for _ in range(3)]
    batch = [written(people[i % 3], f"第{i}句") for i in range(12)]

    results = conversations.receive(batch, now=NOON)

    assert [r.seq for r in results] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    for index in range(3):
        texts = [text for _, _, text in log_of(results[index].conversation_id)]
        assert texts == [f"第{i}句" for i in range(index, 12, 3)]


@pytest.mark.parametrize("again", ["same batch", "next batch"])
def test_a_resend_is_answered_with_the_first_row(web_inbox, again):
    identity = factories.identity(web_inbox)
    first = written(identity, "一", client_id="c1")
    resent = written(identity, "二", client_id="c1")

    if again == "same batch":
        a, b = conversations.receive([first, resent], now=NOON)
    else:
        [a] = conversations.receive([first], now=NOON)
        [b] = conversations.receive([resent], now=NOON)

    assert (a.message_id, a.public_id, a.seq) == (b.message_id, b.public_id, b.seq)
    assert log_of(a.conversation_id) == [(1, "incoming", "一")]


def test_a_resend_after_the_end_of_the_conversation_opens_no_other(web_inbox, agent):
    identity = factories.identity(web_inbox)
    message = written(identity, "一", client_id="c1")
    [first] = conversations.receive([message], now=NOON)
    conversation = Conversation.objects.get()
    conversations.resolve(conversation, by=Author.agent(agent.pk), now=NOON)

    [again] = conversations.receive([message], now=NOON)

    assert again.message_id == first.message_id
    assert again.duplicate
    assert Conversation.objects.count() == 1


def test_a_platforms_retry_is_found_by_its_source_id():
    inbox = factories.inbox("api")
    sender = Sender("u1", name="林晓彤")
    message = InboundMessage(inbox_id=inbox.pk, sender=sender, text="一", source_id="s1")

    [first] = conversations.receive([message], now=NOON)
    [again] = conversations.receive([message], now=NOON)

    assert again.duplicate
    assert again.message_id == first.message_id
    assert Contact.objects.get().name == "林晓彤"


def test_a_resolved_person_who_writes_again_gets_a_new_conversation_or_the_old(web_inbox, agent):
    identity = factories.identity(web_inbox)
    old = factories.conversation(identity)
    conversations.take_over(old, agent=agent, now=NOON)
    conversations.resolve(old, by=Author.agent(agent.pk), now=NOON)

    factories.say(identity, "还有一个问题")

    new = Conversation.objects.live().get()
    assert new.pk != old.pk
    conversations.resolve(new, by=Author.agent(agent.pk), now=NOON)
    web_inbox.settings["reopen"] = "reopen"
    web_inbox.save()
    factories.say(identity, "再问一句")
    reopened = Conversation.objects.live().get()
    assert (reopened.pk, reopened.status) == (new.pk, "bot")


def test_a_message_wakes_a_waiting_conversation_and_its_snooze(conversation, agent):
    conversations.take_over(conversation, agent=agent, now=NOON)
    until = NOON + timedelta(hours=1)
    conversations.snooze(conversation, until=until, by=Author.agent(agent.pk), now=NOON)

    factories.say(conversation.identity, "我来了")

    conversation.refresh_from_db()
    assert (conversation.status, conversation.snoozed_until) == ("open", None)


def test_a_blocked_contact_is_refused_and_the_others_are_stored(web_inbox):
    blocked, other = factories.identity(web_inbox), factories.identity(web_inbox)
    contacts.set_blocked(blocked.contact, blocked=True, now=NOON)

    results = conversations.receive([written(blocked, "骂人"), written(other, "你好")], now=NOON)

    assert [r.error for r in results] == ["blocked", ""]
    assert Conversation.objects.count() == 1


def test_a_quote_of_somebody_elses_message_is_refused(web_inbox):
    mine, theirs = factories.identity(web_inbox), factories.identity(web_inbox)
    foreign = factories.say(theirs, "私事")
    own = factories.say(mine, "一")

    results = conversations.receive(
        [
            written(mine, "引用", reply_to=foreign.public_id),
            written(mine, "引用", reply_to=own.public_id),
        ],
        now=NOON,
    )

    assert [r.error for r in results] == ["invalid", ""]
    assert Message.objects.get(pk=results[1].message_id).reply_to_id == own.message_id


def test_where_no_bot_answers_the_conversation_stands_in_the_line_and_says_so(team):
    inbox = factories.inbox("web", team=team, settings={"auto_reply": False})

    factories.say(factories.identity(inbox), "一")
    factories.say(factories.identity(inbox), "二")

    queued = list(Conversation.objects.queued().order_by("pk"))
    assert [c.last_seq for c in queued] == [2, 2]
    lines = [log_of(c.pk)[1] for c in queued]
    assert lines == [
        (2, "activity", "已为您转接人工客服，您排在第一位，请稍候。"),
        (2, "activity", "已为您转接人工客服，前面还有 1 人，请稍候。"),
    ]


@pytest.mark.parametrize("known", [True, False])
def test_the_number_of_statements_does_not_grow_with_the_batch(web_inbox, known):
    people = [factories.identity(web_inbox) for _ in range(30)]
    if known:
        for person in people:
            factories.say(person)

    counts = []
    for size in (1, 29):
        batch = [written(p, "你好") for p in (people[:1] if size == 1 else people[1:])]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            conversations.receive(batch, now=NOON)
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[0] <= (7 if known else 14)
