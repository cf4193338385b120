"""Hooks over real sockets: signed, in order, retried on the ladder, replayed, in nobody's way."""

import asyncio
import io
import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from tests import factories
from tests.factories import NOON
from tests.fakes.hook_server import TAKEN, FakeHook, unknown_authority
from tests.fakes.server import Behaviour, Request, endless, hang_up, respond, stall
from tickets import hook_request, hook_runner, outbound, tasks
from tickets.envelopes import Author
from tickets.models import Contact, FeedEvent, Webhook, WebhookDelivery
from tickets.policy import Principal, Role
from tickets.services import contacts, conversations, feed, hook_line, webhooks

pytestmark = pytest.mark.django_db(transaction=True)

FAILS = respond(b"", 500)
EVERYTHING = Principal(None, Role.ADMIN, frozenset())
LADDER_S = [10, 60, 600, 3_600, 21_600, 86_400]  # the contract's, in seconds


class Clock:
    """The moment that deliveries are made at; moved by hand."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def serve(self, *, after_s: float = 0) -> None:
        """What beat does, so many seconds later."""
        self.now += timedelta(seconds=after_s)
        hook_runner.serve_and_wait(hook_line.claim_due(now=self.now), clock=self)


@pytest.fixture(autouse=True)
def local_addresses_are_allowed(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.WEBHOOK_TIMEOUT_S = 5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[FakeHook]:
    with FakeHook() as server:
        yield server


@pytest.fixture
def contact() -> Contact:
    return contacts.create(now=NOON)


@pytest.fixture
def hook(server: FakeHook, contact: Contact) -> Webhook:
    """Made after the contact: it tells what happens from here on."""
    return webhooks.create(url=server.url)[0]


def happens(contact: Contact, *names: str) -> list[str]:
    """Something of a contact changes; the ids of the events."""
    place = feed.end()
    for name in names or ("改",):
        contacts.update(contact, now=NOON, name=name)
    return [str(row) for row in FeedEvent.objects.after(place).in_order()]


def states(hook: Webhook) -> list[tuple[str, int]]:
    rows = hook.deliveries.order_by("pk")
    return [(row.status, row.attempts) for row in rows]


# What arrives ---------------------------------------------------------------------------------


def test_a_delivery_is_the_feeds_event_signed_as_standard_webhooks_has_it(server, web_inbox):
    hook, secret = webhooks.create(url=server.url)
    conversation = factories.conversation(factories.identity(web_inbox))

    tasks.follow_hooks()

    everything = feed.read(EVERYTHING, after=hook.cursor, limit=100).events
    assert server.verified(secret) == everything
    assert [event["event"] for event in everything] == [
        "contact.created", "conversation.created", "message.created",
    ]  # fmt: skip
    assert everything[1]["data"]["number"] == conversation.pk
    request = server.requests[0]
    assert request.method == "POST"
    assert request.headers["webhook-id"] == request.body["id"]
    assert request.headers["content-type"] == "application/json"
    assert states(hook) == [("delivered", 1)] * 3


def test_another_secret_does_not_verify(server, hook, contact, clock):
    happens(contact)
    clock.serve()

    _, other = webhooks.create(url=server.url)

    with pytest.raises(Exception, match="No matching signature"):
        server.verified(other)


def test_a_hook_gets_what_it_asked_for_in_the_order_of_the_feed(server, contact, agent, web_inbox):
    webhooks.create(url=server.url, events=["conversation.resolved", "message.created"])
    conversation = factories.conversation(factories.identity(web_inbox))
    happens(contact)
    conversations.resolve(conversation, by=Author.agent(agent.pk), now=NOON)

    tasks.follow_hooks()

    assert server.events == ["message.created", "message.created", "conversation.resolved"]


def test_what_happens_while_no_worker_lives_comes_later_and_once(server, hook, contact, clock):
    ids = happens(contact, *(str(number) for number in range(45)))

    clock.serve()
    clock.serve()

    assert server.ids == ids


def test_nothing_that_happened_before_the_hook_is_told(server, hook, clock):
    clock.serve()

    assert server.requests == []


# The ladder -----------------------------------------------------------------------------------


def test_the_ladder_then_dead_then_replayed_with_the_same_id(server, hook, contact, clock):
    server.will(FAILS)
    [event_id] = happens(contact)
    clock.serve()

    for count, pause in enumerate(LADDER_S, start=1):
        clock.serve(after_s=pause - 1)
        assert len(server.requests) == count
        clock.serve(after_s=1)
        assert len(server.requests) == count + 1
    clock.serve(after_s=10 * 86_400)

    assert server.ids == [event_id] * 7
    assert states(hook) == [("dead", 7)]
    delivery = hook.deliveries.get()
    assert [entry["status"] for entry in delivery.log] == [500] * 7

    server.will(TAKEN)
    webhooks.replay(delivery, now=clock.now)
    clock.serve()
    assert server.ids == [event_id] * 8
    assert states(hook) == [("delivered", 1)]


def test_a_replay_that_fails_climbs_the_ladder_anew(server, hook, contact, clock):
    happens(contact)
    clock.serve()
    server.will(FAILS)

    webhooks.replay(hook.deliveries.get(), now=clock.now)
    clock.serve()
    clock.serve(after_s=10)

    assert len(server.requests) == 3
    assert states(hook) == [("pending", 2)]


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (respond(b"", 302, "text/html", "Location: /elsewhere"), ""),
        (respond(b"", 404), ""),
        (respond(b"", 429), ""),
        (hang_up(), "RemoteProtocolError"),
        (stall(), "no answer within 0.3 s"),
    ],
    ids=["redirect", "404", "429", "hangs up", "silent"],
)
def test_anything_but_2xx_is_retried(
    server, hook, contact, clock, settings, behaviour: Behaviour, error: str
):
    settings.WEBHOOK_TIMEOUT_S = 0.3
    server.will(behaviour, TAKEN)
    happens(contact)

    clock.serve()
    assert states(hook) == [("pending", 1)]
    assert hook.deliveries.get().log[0]["error"].startswith(error)
    clock.serve(after_s=10)

    assert states(hook) == [("delivered", 2)]
    assert {request.path for request in server.requests} == {"/hook"}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_taken_for_a_yes(server, hook, contact, clock, status: int):
    server.will(respond(b"", status))
    happens(contact)

    clock.serve()

    assert states(hook) == [("delivered", 1)]


def test_an_answer_without_end_is_left_after_a_while(server, hook, contact, clock):
    server.will(endless(b"x" * 4096))
    happens(contact)

    clock.serve()

    assert states(hook) == [("delivered", 1)]


def test_a_certificate_that_nobody_trusts_is_a_failure(contact, clock):
    with FakeHook(tls=unknown_authority()) as server:
        hook, _ = webhooks.create(url=server.url)
        happens(contact)

        clock.serve()

    assert "CERTIFICATE_VERIFY_FAILED" in hook.deliveries.get().log[0]["error"]
    assert server.requests == []


def test_an_address_that_became_private_is_not_connected_to(server, hook, contact, clock, settings):
    settings.OUTBOUND_ALLOW = []
    happens(contact)

    clock.serve()

    assert "OUTBOUND_ALLOW does not name" in hook.deliveries.get().log[0]["error"]
    assert server.requests == []


# Order ----------------------------------------------------------------------------------------


def test_a_short_failure_keeps_the_order(server, hook, contact, clock):
    server.will(FAILS, TAKEN)
    ids = happens(contact, "一", "二", "三")

    clock.serve()
    clock.serve(after_s=9)
    assert server.ids == ids[:1]
    clock.serve(after_s=1)

    assert server.ids == [ids[0], *ids]


def test_an_event_that_keeps_failing_lets_the_others_by(server, contact, clock, web_inbox):
    hook, _ = webhooks.create(url=server.url)
    server.by_event["conversation.created"] = FAILS
    factories.conversation(factories.identity(web_inbox))

    clock.serve()
    assert server.events == ["contact.created", "conversation.created"]
    clock.serve(after_s=10)
    assert server.events[2:] == ["conversation.created", "message.created"]

    server.by_event.clear()
    clock.serve(after_s=60)
    assert server.events[4:] == ["conversation.created"]
    assert states(hook) == [("delivered", 1), ("delivered", 3), ("delivered", 1)]


def test_an_event_that_the_endpoint_refuses_holds_up_nobody(server, clock, web_inbox):
    hook, _ = webhooks.create(url=server.url)
    server.by_event["conversation.created"] = respond(b"", 422)
    factories.conversation(factories.identity(web_inbox))

    clock.serve()

    assert server.events == ["contact.created", "conversation.created", "message.created"]
    assert states(hook) == [("delivered", 1), ("pending", 1), ("delivered", 1)]


def test_after_a_long_outage_the_line_goes_out_in_order(server, hook, contact, clock):
    server.will(FAILS)
    ids = happens(contact, *(str(number) for number in range(5)))
    clock.serve()
    clock.serve(after_s=10)  # the first one leaves the line, the second one holds it
    server.will(TAKEN)
    server.requests.clear()

    clock.serve(after_s=10)
    clock.serve(after_s=60)

    assert server.ids == [*ids[1:], ids[0]]


def test_a_slow_endpoint_delays_no_other(server, contact, clock):
    told = threading.Event()

    async def answers_once_the_other_was_told(request: Request, writer) -> None:
        await asyncio.to_thread(told.wait, 4)
        await respond(b"", 200 if told.is_set() else 500)(request, writer)

    async def tells(request: Request, writer) -> None:
        told.set()
        await TAKEN(request, writer)

    with FakeHook() as slow:
        slow.will(answers_once_the_other_was_told)
        server.will(tells)
        hooks = [webhooks.create(url=url)[0] for url in (slow.url, server.url)]
        happens(contact)

        clock.serve()

    assert [states(hook) for hook in hooks] == [[("delivered", 1)], [("delivered", 1)]]


def test_a_hook_that_wants_little_comes_past_the_rest(
    server, contact, clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hook_line, "READ", 2)
    webhooks.create(url=server.url, events=["contact.created"])
    happens(contact, "一", "二", "三", "四")
    contacts.create(now=NOON)

    for _ in range(3):  # beats
        clock.serve()

    assert server.events == ["contact.created"]


# Who serves -----------------------------------------------------------------------------------


def test_a_hook_is_served_by_one_until_its_claim_ends(server, hook, contact, clock):
    happens(contact)
    [(hook_id, claim)] = hook_line.claim_due(now=clock.now)
    assert hook_line.claim_due(now=clock.now) == []
    [job] = hook_line.next_round(hook_id, claim, now=clock.now)

    # Its process is gone. After a minute another one takes it over, and the first comes back.
    clock.serve(after_s=61)
    late = hook_line.record(hook_id, claim, job, hook_request.Outcome(500), now=clock.now)

    assert len(server.requests) == 1
    assert late is False
    assert hook_line.next_round(hook_id, claim, now=clock.now) is None
    assert states(hook) == [("delivered", 1)]


def test_many_beats_at_once_claim_each_hook_once(server, contact, clock):
    count = 6
    for _ in range(count):
        webhooks.create(url=server.url)
    happens(contact)
    claims: list[tuple] = []

    def claim() -> None:
        claims.extend(hook_line.claim_due(now=clock.now))
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(hook_id for hook_id, _ in claims) == sorted(
        Webhook.objects.values_list("pk", flat=True)
    )


def test_a_hook_with_nothing_to_do_is_not_even_claimed(server, hook, contact, clock):
    assert hook_line.claim_due(now=clock.now) == []

    server.will(FAILS)
    happens(contact, "一", "二")
    clock.serve()

    happens(contact)
    assert hook_line.claim_due(now=clock.now) == []  # the line is held
    assert len(hook_line.claim_due(now=clock.now + timedelta(seconds=10))) == 1


def test_a_workers_own_loop_serves(server, hook, contact):
    happens(contact)
    [claim] = hook_line.claim_due(now=timezone.now())

    hook_runner.start(*claim).result(10)

    assert len(server.requests) == 1
    assert hook_line.claim_due(now=timezone.now()) == []
    hook.refresh_from_db()
    assert (hook.claim, states(hook)) == (None, [("delivered", 1)])


def test_a_worker_that_ends_finishes_the_attempt_on_its_way_and_begins_no_other(
    server, hook, contact
):
    asked, go = threading.Event(), threading.Event()

    async def holds(request: Request, writer) -> None:
        asked.set()
        await asyncio.to_thread(go.wait, 5)
        await TAKEN(request, writer)

    server.will(holds)
    happens(contact, "一", "二")
    future = hook_runner.start(*hook_line.claim_due(now=timezone.now())[0])
    assert asked.wait(5)

    threading.Timer(0.1, go.set).start()
    hook_runner.drain()

    assert future.done()
    assert states(hook) == [("delivered", 1), ("pending", 0)]
    assert len(hook_line.claim_due(now=timezone.now())) == 1  # free for another worker


# Switched off, failing for days, removed ------------------------------------------------------


def test_a_disabled_hook_is_silent_and_begins_anew(server, hook, contact, clock):
    server.will(FAILS)
    waiting = happens(contact)
    clock.serve()
    webhooks.change(hook, enabled=False)
    happens(contact)
    clock.serve(after_s=100)
    assert len(server.requests) == 1

    server.will(TAKEN)
    server.requests.clear()
    webhooks.change(hook, enabled=True)
    later = happens(contact)
    clock.serve()

    assert server.ids == waiting + later


def test_one_that_is_disabled_while_it_is_served_stops(server, hook, contact, clock):
    async def is_disabled(request: Request, writer) -> None:
        await asyncio.to_thread(_disable, hook)
        await TAKEN(request, writer)

    server.will(is_disabled)
    happens(contact, "一", "二", "三")

    clock.serve()

    assert states(hook) == [("delivered", 1), ("pending", 0), ("pending", 0)]


def _disable(hook: Webhook) -> None:
    webhooks.change(hook, enabled=False)
    connection.close()


def test_one_that_is_removed_while_it_is_served_is_no_error(server, hook, contact, clock, caplog):
    async def is_removed(request: Request, writer) -> None:
        await asyncio.to_thread(_remove, hook.pk)
        await TAKEN(request, writer)

    server.will(is_removed)
    happens(contact, "一", "二")

    clock.serve()

    assert len(server.requests) == 1
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def _remove(pk: int) -> None:
    Webhook.objects.get(pk=pk).delete()
    connection.close()


def test_five_days_of_failures_are_unhealthy_and_loud_but_never_switched_off(
    server, hook, contact, clock, caplog
):
    server.will(FAILS)
    for _ in range(5):
        happens(contact)
        clock.serve()
        clock.serve(after_s=86_400 - 1)
        hook.refresh_from_db()
        assert hook.state_at(clock.now) == "failing"
    happens(contact)
    caplog.clear()
    clock.serve(after_s=10)

    hook.refresh_from_db()
    assert (hook.state_at(clock.now), hook.enabled) == ("unhealthy", True)
    assert list(Webhook.objects.unhealthy_at(clock.now)) == [hook]
    assert f"webhook {hook.public_id} did not take" in caplog.text

    server.will(TAKEN)
    clock.serve(after_s=86_400)
    hook.refresh_from_db()
    assert (hook.state_at(clock.now), hook.failing_since) == ("well", None)


def test_a_test_event_goes_past_the_line(server, contact, clock):
    hook, secret = webhooks.create(url=server.url)
    server.will(FAILS, TAKEN)
    happens(contact)
    clock.serve()

    webhooks.send_test(hook, now=clock.now)
    clock.serve()

    [_, body] = server.verified(secret)
    assert (body["event"], body["data"]) == ("webhook.test", {"webhook": str(hook.public_id)})


def test_what_a_hook_has_not_read_is_kept_twice_as_long(server, hook, contact):
    happens(contact, "一", "二")
    grown = 31
    FeedEvent.objects.update(created_at=timezone.now() - timedelta(days=grown))
    assert feed.forget_old(now=timezone.now()) == 1  # what was before the hook

    assert feed.forget_old(now=timezone.now() + timedelta(days=30)) == 2


def test_what_became_of_deliveries_is_forgotten_too(server, hook, contact, clock):
    happens(contact)
    clock.serve()
    server.will(FAILS)
    happens(contact)
    clock.serve()

    assert hook_line.forget_old(now=clock.now + timedelta(days=29)) == 0
    assert hook_line.forget_old(now=clock.now + timedelta(days=31)) == 1
    assert states(hook) == [("pending", 1)]


# Secrets --------------------------------------------------------------------------------------


def test_the_secret_is_in_no_log_no_export_and_no_column(server, contact, clock, caplog):
    out = io.StringIO()
    with caplog.at_level(logging.DEBUG):
        hook, secret = webhooks.create(url=server.url)
        server.will(hang_up(), TAKEN)
        happens(contact)
        clock.serve()
        clock.serve(after_s=10)
        call_command("export_config", stdout=out)
    [job] = hook_line._jobs(hook, hook.deliveries.all())

    said = [r.getMessage() for r in caplog.records if not r.name.startswith("django.db")]
    kept = str(list(Webhook.objects.values())) + str(list(WebhookDelivery.objects.values()))
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret_box FROM tickets_webhook")
        kept_encrypted = str(cursor.fetchall())
    for text in ("\n".join(said), out.getvalue(), kept_encrypted, repr(job), str(hook)):
        assert secret.removeprefix("whsec_") not in text
    assert job.secret == secret
    assert "log" in kept


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://169.254.169.254/", "ftp://a.example/"])
def test_an_address_that_may_not_be_reached_cannot_be_saved(url: str):
    with pytest.raises(Exception, match="url"):
        webhooks.create(url=url)


async def test_the_guard_holds_at_the_connection_too(settings):
    settings.OUTBOUND_ALLOW = []
    async with outbound.async_client() as client:
        outcome = await hook_request.post(client, "http://localhost:9/", b"{}", {})

    assert outcome.error.startswith("address refused")
