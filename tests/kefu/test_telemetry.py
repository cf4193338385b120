"""What leaves for Sentry and OpenTelemetry: that something broke and where; nobody's words."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAID = "我的密码是芝麻开门"


class Collector(ThreadingHTTPServer):
    """Keeps what is posted to it, unpacked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.got[self.path] = self.server.got.get(self.path, b"") + body
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(program: str, **environment: str) -> None:
    """In a process of its own: both are set up once a process, for good."""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "kefu.settings"} | environment,
        check=True,
        timeout=60,
    )


ERROR = f"""
import logging
import django
django.setup()
import sentry_sdk

def answer(text):
    raise RuntimeError("refused: Authorization: Bearer kefu_0123456789abcdefghij")

try:
    answer({SAID!r})
except RuntimeError:
    logging.getLogger("kefu").exception("an answer failed")
sentry_sdk.flush(10)
"""


def test_sentry_hears_of_an_error_without_words_or_secrets(collector: Collector) -> None:
    run(ERROR, SENTRY_DSN=f"http://public@{collector.address}/1")

    told = collector.got["/api/1/envelope/"].decode()
    assert "an answer failed" in told
    assert "RuntimeError" in told
    assert "kefu_0123456789" not in told
    assert SAID not in told
    assert SAID.encode("unicode_escape").decode() not in told


REQUEST = """
import django
django.setup()
from django.test import Client
from opentelemetry import trace

Client(headers={"host": "127.0.0.1"}).get("/files/signed-and-secret:token/?key=hidden")
trace.get_tracer_provider().force_flush()
"""


def test_a_trace_names_routes_and_no_addresses(collector: Collector) -> None:
    run(REQUEST, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.address}", KEFU_ROLE="web")

    told = collector.got["/v1/traces"]
    assert b"kefu-web" in told
    assert b"files/<str:token>/" in told
    assert b"signed-and-secret" not in told
    assert b"hidden" not in told


def test_without_a_name_nothing_is_loaded() -> None:
    program = "import django; django.setup(); import sys; sys.exit('sentry_sdk' in sys.modules)"
    run(program, SENTRY_DSN="")
