"""What follows from an intent, and where intents are set up."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client

from ai_gateway.intents.shipped import shipped
from ai_gateway.models import Intent
from ai_gateway.services import intents
from tests import factories
from tests.factories import NOON
from tickets.models import Conversation, Label, Message, Team, Ticket
from tickets.services import conversations

pytestmark = pytest.mark.usefixtures("new_process")

LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def payment(db: None) -> Intent:
    Intent.objects.all().delete()
    return Intent.objects.create(
        key="payment_issue",
        name="支付问题",
        examples=["付不了款", "手机无法支付"],
        labels=["支付", "急"],
        priority=Conversation.Priority.HIGH,
        ticket_type="payment",
    )


def asked(text: str = "手机无法支付") -> tuple[Conversation, Message]:
    conversation = factories.conversation(text=text)
    return conversation, conversation.messages.get()


def test_the_words_of_a_contact_become_a_ticket(payment: Intent) -> None:
    conversation, message = asked()
    guess = intents.intent_of(message.text)
    assert guess is not None

    ticket = intents.apply(conversation, message, guess.intent, now=LATER)

    conversation.refresh_from_db()
    assert ticket is not None
    assert (ticket.title, ticket.type) == ("支付问题：手机无法支付", "payment")
    assert ticket.priority == conversation.priority == Conversation.Priority.HIGH
    assert list(ticket.conversations.all()) == [conversation]
    assert {label.name for label in conversation.labels.all()} == {"支付", "急"}


def test_again_it_does_nothing(payment: Intent, django_assert_num_queries: Any) -> None:
    conversation, message = asked()
    intents.apply(conversation, message, "payment_issue", now=NOON)
    conversation.refresh_from_db()
    before = conversation.updated_at

    with django_assert_num_queries(6):  # a savepoint and its end, and four that read
        assert intents.apply(conversation, message, "payment_issue", now=LATER) is None

    conversation.refresh_from_db()
    assert conversation.updated_at == before
    assert Ticket.objects.count() == 1


def test_what_people_set_stays(payment: Intent, team: Team) -> None:
    conversation, message = asked()
    mine = Label.objects.create(name="VIP")
    conversations.set_labels(conversation, [mine], now=NOON)
    conversations.set_priority(conversation, Conversation.Priority.URGENT, now=NOON)
    conversations.set_team(conversation, team, now=NOON)
    payment.team = factories.team("other")
    payment.save()

    intents.apply(conversation, message, "payment_issue", now=LATER)

    conversation.refresh_from_db()
    assert conversation.priority == Conversation.Priority.URGENT
    assert conversation.team == team
    assert {label.name for label in conversation.labels.all()} == {"VIP", "支付", "急"}


def test_a_conversation_without_a_team_gets_one(payment: Intent, team: Team) -> None:
    conversation, message = asked()
    payment.team = team
    payment.save()

    ticket = intents.apply(conversation, message, "payment_issue", now=LATER)

    conversation.refresh_from_db()
    assert ticket is not None
    assert conversation.team == ticket.team == team
    assert conversation.status == Conversation.Status.BOT


def test_words_of_an_endpoint_and_what_is_switched_off_do_nothing(payment: Intent) -> None:
    conversation, message = asked()
    Intent.objects.update(enabled=False)

    assert intents.apply(conversation, message, "payment_issue", now=LATER) is None
    assert intents.apply(conversation, message, "a word of theirs", now=LATER) is None
    assert not Ticket.objects.exists()
    assert intents.intent_of(message.text) is None


def test_an_intent_needs_examples(db: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Intent.objects.create(key="empty", name="空", examples=[])


# Where they are set up ------------------------------------------------------------------------


@pytest.fixture
def admin(payment: Intent, client: Client) -> Client:
    client.force_login(
        User.objects.create_superuser("root", password="x"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def test_an_intent_is_written_one_sentence_a_line(admin: Client, payment: Intent) -> None:
    values = {"name": "好", "examples": "你好\n 在吗 \n", "labels": "", "enabled": "on"}

    admin.post("/admin/ai_gateway/intent/add/", {**values, "key": "hello"})
    bad = admin.post("/admin/ai_gateway/intent/add/", {**values, "key": "Hello there"})
    empty = admin.post("/admin/ai_gateway/intent/add/", {**values, "key": "e", "examples": " "})
    url = f"/admin/ai_gateway/intent/{payment.pk}/change/"
    admin.post(url, {**values, "key": "other", "name": "付款"})

    assert Intent.objects.get(key="hello").examples == ["你好", "在吗"]
    assert bad.status_code == empty.status_code == 200
    assert Intent.objects.count() == 2
    payment.refresh_from_db()
    assert (payment.key, payment.name) == ("payment_issue", "付款")
    assert admin.get("/admin/ai_gateway/intent/").status_code == 200


def test_nobody_else_comes_to_the_page(payment: Intent, client: Client) -> None:
    assert client.get("/admin/ai_gateway/intent/").status_code == 302


FILE = """\
teams:
  - {slug: pay, name: 支付}
intents:
  - key: payment_issue
    name: 支付问题
    examples: [付不了款, 扣了两次]
    labels: [支付]
    priority: high
    team: pay
    ticket_type: payment
"""


def run(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    output = StringIO()
    call_command("import_config", str(path), stdout=output)
    return output.getvalue()


def test_files_bring_them_in_and_out(db: None, tmp_path: Path) -> None:
    Intent.objects.all().delete()
    run(tmp_path / "in.yaml", FILE)
    exported = StringIO()
    call_command("export_config", stdout=exported)
    Intent.objects.all().delete()

    run(tmp_path / "again.yaml", exported.getvalue())

    intent = Intent.objects.get()
    assert intent.team is not None
    assert (intent.priority, intent.team.slug) == (Conversation.Priority.HIGH, "pay")
    assert intent.examples == ["付不了款", "扣了两次"]
    assert "nothing to change" in run(tmp_path / "again.yaml", exported.getvalue())


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("{key: a, examples: [你好], priority: top}", "2: priority: unknown 'top'"),
        ("{key: a, examples: [你好], team: nobody}", "2: team: there is no 'nobody'"),
        ("{key: a}", "2: intents: examples"),
        ("{key: A-1, examples: [你好]}", "2: intents: key"),
    ],
)
def test_a_file_that_is_wrong_changes_nothing(
    db: None, tmp_path: Path, line: str, wrong: str
) -> None:
    Intent.objects.all().delete()

    with pytest.raises(CommandError, match=wrong):
        run(tmp_path / "in.yaml", f"intents:\n  - {line}\n")

    assert not Intent.objects.exists()


def test_a_new_installation_has_the_shipped_ones(db: None) -> None:
    """Where no other test emptied the tables before."""
    import importlib

    from django.apps import apps

    Intent.objects.all().delete()
    migration = importlib.import_module("ai_gateway.migrations.0004_intents")

    migration.bring_in_the_shipped(apps, None)
    migration.bring_in_the_shipped(apps, None)

    assert [intent.key for intent in Intent.objects.order_by("key")] == [i.key for i in shipped()]
    for intent in Intent.objects.all():
        intent.full_clean()
