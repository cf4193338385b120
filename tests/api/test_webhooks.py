"""webhooks/ by REST: the secret once, addresses that may be reached, deliveries, their replay."""

from typing import Any

import pytest
from django.utils import timezone

from tests import factories
from tests.api.conftest import Caller
from tickets.models import Webhook, WebhookDelivery
from tickets.services import hook_line, webhooks

pytestmark = pytest.mark.django_db
NOWHERE = "0192d3a4-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def local_addresses_are_allowed(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1:9000"]


@pytest.fixture
def hook() -> Webhook:
    return webhooks.create(url="http://127.0.0.1:9000/a")[0]


@pytest.fixture
def delivery(hook: Webhook) -> WebhookDelivery:
    now = timezone.now()
    return WebhookDelivery.objects.create(
        webhook=hook, event_id="evt_1a_2b", event="contact.updated", public_id=NOWHERE,
        happened_at=now, created_at=now, status="dead", attempts=7,
        log=[{"at": "2026-06-02T04:00:00.000Z", "status": 500, "error": "", "ms": 12}],
    )  # fmt: skip


def test_a_hook_is_made_and_its_secret_shown_once(api):
    made = api.post("webhooks/", {"url": "http://127.0.0.1:9000/a", "events": ["message.created"]})

    assert made.status_code == 201
    body = made.json()
    assert body.pop("secret").startswith("whsec_")
    assert body == {
        "id": body["id"], "url": "http://127.0.0.1:9000/a", "events": ["message.created"],
        "enabled": True, "state": "well", "failing_since": None, "last_success_at": None,
        "created_at": body["created_at"],
    }  # fmt: skip
    assert api.get(f"webhooks/{body['id']}/").json() == body
    assert api.get("webhooks/").json()["results"] == [body]


def test_a_hook_without_events_gets_all(api):
    made = api.post("webhooks/", {"url": "http://127.0.0.1:9000/a"}).json()

    assert len(made["events"]) == 11


def test_a_hook_is_changed_and_removed(api, hook):
    path = f"webhooks/{hook.public_id}/"

    changed = api.patch(path, {"enabled": False, "events": ["ticket.updated", "contact.merged"]})

    assert changed.status_code == 200
    assert changed.json()["state"] == "disabled"
    assert changed.json()["events"] == ["contact.merged", "ticket.updated"]
    assert "secret" not in changed.json()
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://127.0.0.1:9001/"}, "url"),
        ({"url": "http://169.254.169.254/latest/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "http://user:pw@example.com/"}, "url"),
        ({"url": "http://127.0.0.1:9000/" + "a" * 500}, "url"),
        ({"url": "http://127.0.0.1:9000/", "events": []}, "events"),
        ({"url": "http://127.0.0.1:9000/", "events": ["message.read"]}, "events.0"),
        ({"url": "http://127.0.0.1:9000/", "events": "message.created"}, "events"),
        ({"url": "http://127.0.0.1:9000/", "enabled": "yes"}, "enabled"),
        ({"url": "http://127.0.0.1:9000/", "secret": "whsec_own"}, "secret"),
    ],
)
def test_what_is_wrong_is_named(api, body: dict[str, Any], attr: str):
    answer = api.post("webhooks/", body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
    assert Webhook.objects.count() == 0


def test_the_deliveries_of_a_hook(api, hook, delivery):
    path = f"webhooks/{hook.public_id}/deliveries/"

    [row] = api.get(path).json()["results"]

    assert row == {
        "id": "evt_1a_2b", "event": "contact.updated", "object": NOWHERE, "status": "dead",
        "attempts": [{"at": "2026-06-02T04:00:00.000Z", "status": 500, "error": "", "ms": 12}],
        "next_attempt_at": None, "delivered_at": None, "created_at": row["created_at"],
    }  # fmt: skip
    assert len(api.get(f"{path}?status=dead").json()["results"]) == 1
    assert api.get(f"{path}?status=pending").json()["results"] == []
    assert api.get(f"{path}?status=lost").json()["errors"][0]["attr"] == "status"


def test_a_dead_delivery_is_replayed(api, hook, delivery):
    answer = api.post(f"webhooks/{hook.public_id}/deliveries/evt_1a_2b/replay/")

    assert answer.status_code == 200
    assert answer.json()["status"] == "pending"
    [(hook_id, claim)] = hook_line.claim_due(now=timezone.now())
    [job] = hook_line.next_round(hook_id, claim, now=timezone.now())
    assert job.event_id == "evt_1a_2b"


def test_a_delivery_of_another_hook_or_of_none_is_not_there(api, hook, delivery):
    other, _ = webhooks.create(url="http://127.0.0.1:9000/b")

    for path in (
        f"webhooks/{other.public_id}/deliveries/evt_1a_2b/replay/",
        f"webhooks/{hook.public_id}/deliveries/evt_1a_2c/replay/",
        f"webhooks/{NOWHERE}/deliveries/evt_1a_2b/replay/",
    ):
        assert api.post(path).status_code == 404
    assert api.get(f"webhooks/{NOWHERE}/deliveries/").status_code == 404
    assert api.get(f"webhooks/{other.public_id}/deliveries/").json()["results"] == []


def test_who_may_do_what(caller, anonymous, agent, hook, delivery):
    rows = ("webhooks/", f"webhooks/{hook.public_id}/", f"webhooks/{hook.public_id}/deliveries/")
    replay = f"webhooks/{hook.public_id}/deliveries/evt_1a_2b/replay/"
    changes = [("POST", rows[0]), ("PATCH", rows[1]), ("DELETE", rows[1]), ("POST", replay)]
    stranger = caller(
        "read", "write", "admin", agent=factories.user(teams=[factories.team("other")])
    )

    for path in rows:
        assert anonymous.get(path).status_code == 401
        assert caller("write", "ai", "console").get(path).status_code == 403
        assert caller("read").get(path).status_code == 200
    for method, path in changes:
        assert _status(anonymous, method, path) == 401
        assert _status(caller("read", "write"), method, path) == 403
        assert _status(stranger, method, path) == 403


def _status(caller: Caller, method: str, path: str) -> int:
    return caller(method, path, None if method == "DELETE" else {}).status_code


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_queries_does_not_grow(api, count: int, django_assert_num_queries: Any):
    hooks = [webhooks.create(url="http://127.0.0.1:9000/a")[0] for _ in range(count)]
    for _ in range(count):
        webhooks.send_test(hooks[0], now=timezone.now())
    api.get("webhooks/")  # that the key was used is noted once a minute

    with django_assert_num_queries(2):  # the key, the page
        assert len(api.get("webhooks/").json()["results"]) == count
    with django_assert_num_queries(3):  # the key, the hook, the page
        path = f"webhooks/{hooks[0].public_id}/deliveries/"
        assert len(api.get(path).json()["results"]) == count
