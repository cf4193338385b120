import io
import json
import logging
from collections.abc import Iterator

import psycopg
import pytest
import redis
from celery import current_app
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.db import IntegrityError, transaction
from django.test import Client

from kefu.logging import BriefWhileAway, JsonLines, TextLines, without_secrets
from tickets import tracing
from tickets.models import Conversation, Message


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, at every level, as production would write it."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3tvalue",
        "redis://:s3cr3tvalue@127.0.0.1:6379/0",
        "postgresql://kefu:s3cr3tvalue@db/kefu",
        '{"app_secret": "s3cr3tvalue", "a": 1}',
        "GET https://api.example/send?access_token=s3cr3tvalue&b=1",
        "api_key=s3cr3tvalue",
        "password='s3cr3tvalue'",
        "key kefu_s3cr3tvalue" + "x" * 32,
        "jwt eyJhbGciOiJIUzI1NiJ9.s3cr3tvalue.abc",
    ],
)
def test_credentials_do_not_reach_the_log(text: str) -> None:
    assert "s3cr3tvalue" not in without_secrets(text)


def test_ordinary_words_stay_as_they_are() -> None:
    text = "GET /api/v1/conversations/ status=200 ms=12 conversation=42"

    assert without_secrets(text) == text


@pytest.mark.django_db
def test_a_row_that_broke_a_rule_is_not_quoted(
    log: io.StringIO, conversation: Conversation
) -> None:
    words = "我的身份证号是多少"
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Message.objects.create(
            conversation=conversation,
            inbox=conversation.inbox,
            seq=-1,
            kind="incoming",
            author_kind="contact",
            text=words,
            status="sent",
            created_at=conversation.created_at,
        )
    logging.getLogger("kefu").error("could not store", exc_info=caught.value)

    line = json.loads(log.getvalue().splitlines()[-1])
    assert "IntegrityError" in line["error"]
    assert words not in log.getvalue()


@pytest.mark.django_db
def test_a_request_is_one_line_with_its_route_and_its_trace(
    client: Client, log: io.StringIO
) -> None:
    answer = client.get("/login/?next=/console/", HTTP_X_REQUEST_ID="trace-of-the-proxy")

    line = next(
        found
        for found in map(json.loads, log.getvalue().splitlines())
        if found["logger"] == "kefu.requests"
    )
    assert answer["X-Request-Id"] == line["trace"] == "trace-of-the-proxy"
    assert (line["event"], line["status"]) == ("GET /login/", 200)


@pytest.mark.django_db
def test_a_trace_that_could_forge_a_line_is_replaced(client: Client) -> None:
    answer = client.get("/healthz", HTTP_X_REQUEST_ID='x" level=error')

    assert tracing.acceptable(answer["X-Request-Id"])


def test_a_task_goes_on_with_the_trace_of_who_queued_it() -> None:
    headers: dict[str, object] = {}
    with tracing.following("trace-of-a-socket"):
        before_task_publish.send(sender="a", headers=headers)
    assert headers["trace"] == "trace-of-a-socket"

    @current_app.task(name="tests.traced")
    def traced() -> None: ...

    traced.push_request(id="1", headers={"trace": headers["trace"]})
    task_prerun.send(sender=traced, task_id="1", task=traced)
    during = tracing.current()
    task_postrun.send(sender=traced, task_id="1", task=traced)
    traced.pop_request()

    assert (during, tracing.current()) == ("trace-of-a-socket", "")


def test_fields_stand_behind_the_words_for_people() -> None:
    record = logging.makeLogRecord(
        {"name": "kefu", "levelname": "INFO", "msg": "sent", "conversation": 42}
    )

    with tracing.following("trace-one"):
        assert TextLines().format(record).endswith("INFO kefu sent trace=trace-one conversation=42")


@pytest.mark.parametrize(
    "away",
    [
        lambda: redis.Redis(port=1).ping(),
        lambda: psycopg.connect("host=127.0.0.1 port=1"),
        lambda: current_app.connection("redis://127.0.0.1:1/0").ensure_connection(max_retries=1),
    ],
)
def test_a_server_that_is_away_is_one_line(away) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(BriefWhileAway())
    handler.setFormatter(TextLines())
    logger = logging.getLogger("test.away")
    logger.addHandler(handler)
    try:
        away()
    except Exception as error:
        try:
            raise RuntimeError("scheduling failed") from error
        except RuntimeError as wrapped:
            logger.exception("Message Error: %s\n%s", wrapped, ["a stack"])
    try:
        raise ValueError("ours")
    except ValueError:
        logger.exception("a task failed")
    logger.removeHandler(handler)

    away_line, *ours = out.getvalue().splitlines()
    assert "Message Error: scheduling failed" in away_line
    assert "a task failed" in ours[0]
    assert ours[1].startswith("Traceback")
