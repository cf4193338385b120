"""`/healthz`: this process is alive. `/readyz`: what it needs is there. For any host name.

Answered by a middleware in front of all others: a probe calls by address, over plain HTTP, and
must not wait for the pool of connections that it is asking about.
"""

from collections.abc import Callable

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse

from kefu import metrics

PATIENCE_S = 2
OK = "ok"

_migrated = False


class ProbeMiddleware:
    """Answers the paths of probes; lets everything else through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = PROBES.get(request.path_info)
        if view is None:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        response = view(request)
        response["Cache-Control"] = "no-store"
        response["X-Content-Type-Options"] = "nosniff"
        return response


def alive(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": OK})


def ready(request: HttpRequest) -> HttpResponse:
    """200 where every part is `ok`, else 503; each part says in a word what is wrong with it."""
    parts = {"postgresql": OK, "redis": OK, "migrations": "unknown"}
    try:
        parts["migrations"] = _migrations()
    except psycopg.Error:
        parts["postgresql"] = "unreachable"
    try:
        _ask_redis()
    except redis.RedisError:
        parts["redis"] = "unreachable"
    well = all(part == OK for part in parts.values())
    answer = {"status": OK if well else "unavailable", "parts": parts}
    return JsonResponse(answer, status=200 if well else 503)


def _migrations() -> str:
    """Asks the database, every time; the files of migrations once they are all there, no more."""
    global _migrated
    with _plain_connection() as database:
        if _migrated:
            database.execute("SELECT 1")
            return OK
        try:
            rows = database.execute("SELECT app, name FROM django_migrations").fetchall()
        except psycopg.errors.UndefinedTable:
            rows = []
    missing = set(MigrationLoader(None).disk_migrations or {}) - set(rows)
    _migrated = not missing
    return f"{len(missing)} missing" if missing else OK


def _plain_connection() -> psycopg.Connection[tuple[str, ...]]:
    """Past Django's pool, and with little patience."""
    parameters = {**connection.get_connection_params(), "connect_timeout": PATIENCE_S}
    parameters.pop("pool", None)
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    opened: psycopg.Connection[tuple[str, ...]] = psycopg.connect(**parameters, autocommit=True)
    return opened


def _ask_redis() -> None:
    for url in {settings.REDIS_URL, *settings.CHANNEL_LAYER_URLS}:
        with redis.Redis.from_url(
            url, socket_connect_timeout=PATIENCE_S, socket_timeout=PATIENCE_S, retry=None
        ) as client:
            client.ping()


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": alive,
    "/readyz": ready,
    "/metrics": metrics.view,
}
