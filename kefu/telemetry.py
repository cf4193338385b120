"""Errors to Sentry and traces to OpenTelemetry, where an operator says where to.

Neither gets what people wrote, nor a credential: no bodies, headers, cookies, local variables or
paths (a path may be a signed link), and every text passes `logging.without_secrets`.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from kefu.logging import without_secrets

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from sentry_sdk.types import Event, Hint

_COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Under which names instrumentation has written the address of a request, old ones and new.
_ADDRESSES = ("http.url", "http.target", "http.route", "url.full", "url.path", "url.query")


def start(environment: Mapping[str, str] = os.environ) -> None:
    """Called once when the apps are ready; does nothing where nothing is configured."""
    if settings.SENTRY_DSN:
        report_errors(settings.SENTRY_DSN)
    if any(environment.get(name) for name in _COLLECTORS):
        trace_requests(environment)


# Sentry ---------------------------------------------------------------------------------------


def report_errors(dsn: str) -> None:
    import sentry_sdk  # slow import, for those who use it

    sentry_sdk.init(
        dsn=dsn,
        environment=settings.KEFU_ROLE or None,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=_without_secrets,
        before_breadcrumb=lambda crumb, _hint: _cleaned(crumb),
    )


def _without_secrets(event: "Event", _hint: "Hint") -> "Event":
    request = event.pop("request", None) or {}
    cleaned: Event = _cleaned(event)
    if "method" in request:
        cleaned["request"] = {"method": request["method"]}
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value


# OpenTelemetry --------------------------------------------------------------------------------


def trace_requests(environment: Mapping[str, str]) -> None:
    """Pages, API, tasks and calls of AI services; everything else by the SDK's OTEL_* names."""
    from opentelemetry import trace  # slow imports, for those who use them
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    role = f"kefu-{settings.KEFU_ROLE}" if settings.KEFU_ROLE else "kefu"
    name = environment.get("OTEL_SERVICE_NAME") or role
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(response_hook=_name_the_route)
    CeleryInstrumentor().instrument()
    HTTPXClientInstrumentor().instrument()


def _name_the_route(span: "Span", request: HttpRequest, _response: HttpResponse) -> None:
    match = request.resolver_match
    for name in _ADDRESSES:
        span.set_attribute(name, f"/{match.route}" if match else "")
