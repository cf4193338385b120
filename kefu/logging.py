"""Logs: one line an event, with the trace of `tickets.tracing`, without secrets or what people say.

`configure` is Django's LOGGING_CONFIG. LOG_FORMAT chooses `text`, for a terminal, or `json`.
"""

import json
import logging
import logging.config
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
import redis
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from kombu.exceptions import OperationalError as BrokerAway
from psycopg_pool import PoolTimeout

from tickets import tracing

requests = logging.getLogger("kefu.requests")
tasks = logging.getLogger("kefu.tasks")

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
# Whole objects that libraries attach; they say who, what and where from in full.
_UNTOLD = {"request", "scope", "websocket", "data", "sinfo", "stack", "context", "server_time"}
# PostgreSQL quotes the row that broke a rule: in ours it holds what somebody wrote.
_ROW = re.compile(r"^(?:DETAIL|CONTEXT|HINT|STATEMENT|QUERY):.*$", re.MULTILINE)
_SECRETS = [
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 …"),
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@"), r"\1:…@"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "…"),
    (re.compile(r"\b(sk-|whsec_|kefu_)[\w-]{20,}"), r"\1…"),
    (
        re.compile(
            r"(?i)([\w-]*(?:api_?key|secret|token|passw(?:or)?d|authorization|cookie|sessionid|aes_?key)"
            r"[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&}]+"
        ),
        r"\1…",
    ),
]


def without_secrets(text: str) -> str:
    """The text as it may be kept: credentials and quoted rows are gone."""
    text = _ROW.sub("", text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`, and the trace."""
    extra = {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and name not in _UNTOLD and not name.startswith("_")
    }
    return {"trace": tracing.current(), **extra} if tracing.current() else extra


class TextLines(logging.Formatter):
    """For people: `06:57:04.120 INFO kefu.requests GET /console/ status=200 trace=…`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone()
        head = f"{moment:%H:%M:%S}.{int(record.msecs):03} {record.levelname} {record.name}"
        tail = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        error = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return without_secrets(f"{head} {record.getMessage()}{tail}{error}")


class JsonLines(logging.Formatter):
    """For machines: one JSON object a line, times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": without_secrets(record.getMessage()),
            "role": settings.KEFU_ROLE,
        }
        for name, value in fields_of(record).items():
            line[name] = without_secrets(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=lambda it: without_secrets(str(it)))


def is_away(error: BaseException | None) -> bool:
    """Whether it comes from PostgreSQL or Redis being away, however deep."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, (redis.ConnectionError, redis.TimeoutError, BrokerAway, PoolTimeout)):
            return True
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            # Without a code it never spoke to the server; else the server stops or is full.
            return error.sqlstate is None or error.sqlstate.startswith(("08", "53", "57P"))
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


class BriefWhileAway(logging.Filter):
    """One line instead of a traceback each tick where a server is away: it is not our code."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if is_away(error):
            said, why = (str(it).strip().partition("\n")[0] for it in (record.getMessage(), error))
            record.msg = said if why in said else f"{said}: {why}"
            record.args, record.exc_info, record.exc_text = None, None, None
        return True


def configure(_given: Mapping[str, Any]) -> None:
    """Everything to standard error, at LOG_LEVEL; chatty libraries from WARNING."""
    lines = JsonLines if settings.LOG_FORMAT == "json" else TextLines
    quiet = (
        *("httpx", "httpcore", "asyncio", "uvicorn.access", "uvicorn.error", "daphne", "PIL"),
        *("celery.app.trace", "celery.worker.strategy", "celery.beat", "axes"),
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": {"()": lines}},
            "filters": {"brief": {"()": BriefWhileAway}},
            "handlers": {
                "lines": {
                    "class": "logging.StreamHandler",
                    "formatter": "lines",
                    "filters": ["brief"],
                }
            },
            "root": {"handlers": ["lines"], "level": settings.LOG_LEVEL},
            "loggers": {
                **{name: {"level": "WARNING"} for name in quiet},
                # Our own request line says it; this one would quote the path with its signature.
                "django.request": {"level": "ERROR"},
                "django.server": {"level": "WARNING", "propagate": True, "handlers": []},
            },
        }
    )


class TraceMiddleware(MiddlewareMixin):
    """Give each request a trace, answer with it (`X-Request-Id`), and log one line.

    The line names the route, not the path: signatures and ids stay out of it.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.answer = get_response
        super().__init__(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        trace = given if tracing.acceptable(given) else tracing.new()
        started = time.perf_counter()
        with tracing.following(trace):
            response = self.answer(request)
            response["X-Request-Id"] = trace
            _log_request(request, response, started)
        return response


def _log_request(request: HttpRequest, response: HttpResponse, started: float) -> None:
    route, quiet = _route_of(request)
    level = logging.DEBUG if quiet and response.status_code < 400 else logging.INFO
    ms = round((time.perf_counter() - started) * 1000)
    fields = {"status": response.status_code, "ms": ms}
    requests.log(level, "%s %s", request.method, route, extra=fields)


def _route_of(request: HttpRequest) -> tuple[str, bool]:
    """Where it went, and whether that is no news: probes and files of ours."""
    if request.path_info in ("/healthz", "/readyz", "/metrics"):
        return request.path_info, True
    if request.path_info.startswith(settings.STATIC_URL):
        return settings.STATIC_URL, True
    match = request.resolver_match
    return (f"/{match.route}", False) if match else ("(no route)", False)


@before_task_publish.connect
def _send_trace_along(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is None:
        return
    headers["queued_at"] = time.time()  # kefu.metrics tells from it how long a queue lags
    if tracing.current():
        headers["trace"] = tracing.current()


_running: dict[str, tuple[Any, float, int]] = {}


@task_prerun.connect
def _take_trace_up(task_id: str, task: Any, **_: Any) -> None:
    given = getattr(task.request, "trace", None) or (task.request.headers or {}).get("trace")
    context = tracing.following(given or tracing.new())
    context.__enter__()
    # What nobody asked for is a sweep of the clock, every few seconds: no news.
    _running[task_id] = (context, time.perf_counter(), logging.INFO if given else logging.DEBUG)


@task_postrun.connect
def _lay_trace_down(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    context, started, level = _running.pop(task_id, (None, 0.0, logging.DEBUG))
    if context is None:
        return
    ms = round((time.perf_counter() - started) * 1000)
    tasks.log(level, "%s %s", task.name, state or "ended", extra={"ms": ms})
    context.__exit__(None, None, None)


@setup_logging.connect
def _leave_logging_to_django(**_: Any) -> None:
    """Connected, it keeps Celery from setting up handlers of its own."""
