"""Errors as the REST API tells them, without a view of Django's to tell them."""

import logging
from typing import Any, cast

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from drf_standardized_errors.formatter import ExceptionFormatter
from psycopg_pool import PoolTimeout
from rest_framework import exceptions

from ai_gateway.doors.exchange import Reply, encoded
from tickets.api.errors import Refused, translated
from tickets.errors import TicketsError

log = logging.getLogger(__name__)

REALM = 'Bearer realm="kefu"'
AWAY = (OperationalError, InterfaceError, PoolTimeout)


def known(error: Exception) -> exceptions.APIException:
    """What was raised, as one of the API's refusals; what is our fault is logged."""
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, TicketsError):
        return translated(error)
    if isinstance(error, RequestDataTooBig):
        return Refused(413, "too_large", str(error))
    if isinstance(error, AWAY):
        log.warning("a question was refused, the database is away: %s", error)
        return Refused(503, "unavailable", "the database is away, ask again soon")
    log.error("a question failed", exc_info=error)
    return exceptions.APIException("Server Error (500)")


def headers_of(error: exceptions.APIException) -> dict[str, str]:
    headers = {"WWW-Authenticate": REALM} if error.status_code == 401 else {}
    wait_s = getattr(error, "wait", None)
    return {**headers, "Retry-After": str(int(wait_s))} if wait_s else headers


def data_of(error: exceptions.APIException) -> dict[str, Any]:
    """`type` and `errors`, as every refusal of the API has them."""
    context: Any = {"request": None, "view": None}
    return cast("dict[str, Any]", ExceptionFormatter(error, context, error).run())


def reply_to(error: Exception) -> Reply:
    refusal = known(error)
    return Reply(refusal.status_code, encoded(data_of(refusal)), headers_of(refusal))
