"""Hooks in the administration: the secret once, a test, the log of deliveries, a replay."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests import factories
from tickets.models import Webhook, WebhookDelivery
from tickets.services import webhooks

pytestmark = pytest.mark.django_db
ROWS = "/admin/tickets/webhook/"
DELIVERIES = "/admin/tickets/webhookdelivery/"


@pytest.fixture(autouse=True)
def local_addresses_are_allowed(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1:9000"]


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(factories.user(role=role))
    return client


@pytest.fixture
def as_admin() -> Client:
    return client_of("admin")


@pytest.fixture
def hook() -> Webhook:
    return webhooks.create(url="http://127.0.0.1:9000/a", events=["message.created"])[0]


def values(**changed: Any) -> dict[str, Any]:
    url = "http://127.0.0.1:9000/a"
    return {"url": url, "events": ["message.created"], "enabled": "on", **changed}


def test_a_new_hook_shows_its_secret_in_that_answer_alone(as_admin):
    answer = as_admin.post(f"{ROWS}add/", values())

    hook = Webhook.objects.get()
    page = answer.content.decode()
    assert hook.secret in page
    assert "no-store" in answer["Cache-Control"]
    change = as_admin.get(f"{ROWS}{hook.pk}/change/").content.decode()
    assert hook.secret not in change
    assert hook.secret not in as_admin.get(ROWS).content.decode()
    assert hook.secret not in str(list(LogEntry.objects.values()))


def test_a_private_address_is_refused_beside_its_field(as_admin):
    answer = as_admin.post(f"{ROWS}add/", values(url="http://10.0.0.1/"))

    assert answer.status_code == 200
    assert "OUTBOUND_ALLOW" in str(answer.context["adminform"].form.errors["url"])
    assert Webhook.objects.count() == 0


def test_a_change_moves_nothing_that_whoever_serves_it_has_moved(as_admin, hook):
    Webhook.objects.filter(pk=hook.pk).update(cursor_xid=77, cursor_id=88)

    as_admin.post(f"{ROWS}{hook.pk}/change/", values(events=["contact.created"]))

    hook.refresh_from_db()
    assert (hook.events, hook.cursor) == (["contact.created"], (77, 88))


def test_a_test_is_queued_by_a_post(as_admin, hook):
    page = as_admin.get(f"{ROWS}{hook.pk}/change/").content.decode()
    assert 'name="tickets_webhook_try_out"' in page
    assert 'name="tickets_webhook_renew_secret"' in page

    answer = as_admin.post(
        f"{ROWS}{hook.pk}/change/", values(tickets_webhook_try_out="1"), follow=True
    )

    delivery = WebhookDelivery.objects.get()
    assert (delivery.event, delivery.status) == ("webhook.test", "pending")
    assert answer.redirect_chain[-1][0] == f"{DELIVERIES}{delivery.pk}/change/"


def test_a_disabled_hook_is_not_tried_out(as_admin, hook):
    off = {"tickets_webhook_try_out": "1"}
    form = {name: value for name, value in values(**off).items() if name != "enabled"}

    answer = as_admin.post(f"{ROWS}{hook.pk}/change/", form, follow=True)

    assert "请先启用" in answer.content.decode()
    assert WebhookDelivery.objects.count() == 0


def test_the_secret_is_renewed_and_shown_once(as_admin, hook):
    before = hook.secret

    page = as_admin.post(f"{ROWS}{hook.pk}/change/", values(tickets_webhook_renew_secret="1"))

    hook.refresh_from_db()
    assert hook.secret != before
    assert hook.secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]


def test_the_list_and_every_page_tell_of_an_unhealthy_hook(as_admin, hook):
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=6))

    assert "持续失败" in as_admin.get(ROWS).content.decode()
    every = as_admin.get("/admin/").content.decode()
    assert "已连续失败 5 天以上" in every
    assert f"{ROWS}{hook.pk}/change/" in every


def test_the_log_of_deliveries_escapes_what_came_from_outside_and_replays(as_admin, hook):
    delivery = webhooks.send_test(hook, now=timezone.now())
    entry = {"at": "2026-06-02T04:00:00.000Z", "status": None, "error": "<b>x</b>", "ms": 3}
    WebhookDelivery.objects.update(status="dead", attempts=7, log=[entry])

    page = as_admin.get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()
    rows = as_admin.get(DELIVERIES, {"webhook__id__exact": hook.pk}).content.decode()
    as_admin.post(DELIVERIES, {"action": "replay", "_selected_action": [delivery.pk]})

    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page + rows
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("pending", 0)
    assert LogEntry.objects.filter(object_id=delivery.pk).exists()


def test_an_auditor_looks_and_changes_nothing(hook):
    auditor = client_of("auditor")
    delivery = webhooks.send_test(hook, now=timezone.now())
    WebhookDelivery.objects.update(status="dead")

    assert auditor.get(f"{ROWS}{hook.pk}/change/").status_code == 200
    assert auditor.post(f"{ROWS}{hook.pk}/change/", values()).status_code == 403
    auditor.post(DELIVERIES, {"action": "replay", "_selected_action": [delivery.pk]})
    delivery.refresh_from_db()
    assert delivery.status == "dead"
    assert client_of("agent").get(ROWS).status_code == 302
