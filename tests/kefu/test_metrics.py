import json
import time
from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY

from tests import factories
from tickets.envelopes import Author
from tickets.models import Conversation
from tickets.services import api_keys, conversations

pytestmark = pytest.mark.django_db
ELSEWHERE = "203.0.113.9"


def bearer(*scopes: str, days: int = 1) -> str:
    expires = timezone.now() + timedelta(days=days)
    _, token = api_keys.create(name="scraper", scopes=scopes, expires_at=expires)
    return f"Bearer {token}"


def test_this_machine_may_read_them(client: Client) -> None:
    answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1")

    assert answer.status_code == 200
    assert b"# TYPE kefu_messages_total counter" in answer.content
    assert b'kefu_conversations{status="queued"} 0.0' in answer.content


@pytest.mark.parametrize(
    "header",
    [
        "HTTP_X_FORWARDED_FOR",
        "HTTP_FORWARDED",
        "HTTP_X_REAL_IP",
        "HTTP_VIA",
        "HTTP_X_FORWARDED_PROTO",
    ],
)
def test_this_machine_as_a_proxy_may_not(client: Client, header: str) -> None:
    answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1", **{header: "203.0.113.9"})

    assert answer.status_code == 401


@pytest.mark.parametrize("address", [ELSEWHERE, "", "::ffff:203.0.113.9"])
def test_others_may_not(client: Client, address: str) -> None:
    assert client.get("/metrics", REMOTE_ADDR=address).status_code == 401


def test_a_key_that_may_read_opens_them(client: Client) -> None:
    key = bearer("read")

    answer = client.get("/metrics", REMOTE_ADDR=ELSEWHERE, HTTP_AUTHORIZATION=key)

    assert answer.status_code == 200


def test_other_keys_do_not(client: Client) -> None:
    keys = [bearer("write", "ai"), bearer("read", days=-1), "Bearer kefu_none", "Basic Og=="]

    statuses = [
        client.get("/metrics", REMOTE_ADDR=ELSEWHERE, HTTP_AUTHORIZATION=key).status_code
        for key in keys
    ]

    assert statuses == [401, 401, 401, 401]


def test_a_queue_lags_as_long_as_its_oldest_task(client: Client) -> None:
    broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    for age in (90, 5):
        broker.lpush("bulk", json.dumps({"headers": {"queued_at": time.time() - age}}))

    try:
        lines = client.get("/metrics", REMOTE_ADDR="::1").content.decode().splitlines()
    finally:
        broker.delete("bulk")

    lag = next(line for line in lines if line.startswith('kefu_queue_lag_seconds{queue="bulk"}'))
    assert 90 <= float(lag.split()[-1]) < 100


def _counted(channel: str, direction: str) -> float:
    labels = {"channel": channel, "direction": direction}
    return REGISTRY.get_sample_value("kefu_messages_total", labels) or 0.0


def test_messages_of_every_channel_are_counted_in_both_directions(committed) -> None:
    agent = factories.user()
    before = [_counted("feishu", "in"), _counted("feishu", "out")]
    with committed():
        identity = factories.identity(factories.inbox("feishu"))
        factories.say(identity, client_id="c1")
        factories.say(identity, client_id="c1")
        conversation = Conversation.objects.get()
        author = Author.agent(agent.pk)
        conversations.add_note(conversation, author=author, text="note", now=factories.NOON)
        conversations.post_reply(conversation, author=author, text="hi", now=factories.NOON)

    after = [_counted("feishu", "in"), _counted("feishu", "out")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]
