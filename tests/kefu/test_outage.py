"""What is answered while PostgreSQL is away; in a process of its own, whose pool finds nobody."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

ASK = """
import json, sys, time
import django
django.setup()
from django.test import Client
answers = []
for path, headers in json.loads(sys.argv[1]):
    started = time.monotonic()
    answer = Client(raise_request_exception=False).get(path, headers=headers)
    answers.append({
        "status": answer.status_code,
        "again": answer.headers.get("Retry-After"),
        "text": answer.content.decode(),
        "took_s": time.monotonic() - started,
    })
print(json.dumps(answers))
"""
ASKED: list[tuple[str, dict[str, str]]] = [
    ("/chat/web-demo/", {"Accept-Language": "zh-CN"}),
    ("/chat/web-demo/", {"Accept-Language": "en"}),
    ("/api/v1/teams/", {"Authorization": "Bearer kefu_0123456789"}),
    ("/metrics", {}),
]


@pytest.fixture(scope="module")
def asked() -> tuple[list[dict[str, Any]], str]:
    """The answers, and what was logged meanwhile."""
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://kefu@127.0.0.1:1/kefu",
        "DJANGO_SETTINGS_MODULE": "kefu.settings",
        "ALLOWED_HOSTS": "testserver",
    }
    command = [sys.executable, "-c", ASK, json.dumps(ASKED)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_pages_say_so_in_the_visitors_language_and_when_to_come_again(asked) -> None:
    chinese, english = asked[0][:2]

    assert (chinese["status"], english["status"]) == (503, 503)
    assert int(chinese["again"]) > 0
    assert "服务暂时不可用" in chinese["text"]
    assert "Not available right now" in english["text"]


def test_the_api_says_so_in_its_own_shape(asked) -> None:
    answer = asked[0][2]

    assert (answer["status"], answer["again"]) == (503, "5")
    told = json.loads(answer["text"])
    assert told["type"] == "server_error"
    assert [error["code"] for error in told["errors"]] == ["unavailable"]


def test_a_scraper_is_not_kept_waiting(asked) -> None:
    answer = asked[0][3]

    assert answer["status"] == 200
    assert "kefu_messages_total" in answer["text"]
    assert answer["took_s"] < 3


def test_it_is_logged_in_a_line_each(asked) -> None:
    assert "Traceback" not in asked[1]
    assert asked[1].count("the database is away") == 3
