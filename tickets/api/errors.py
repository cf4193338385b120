"""What the API refuses, as HTTP: the ground's errors translated, in one table."""

import logging
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as DjangoValidationError
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.settings import api_settings

from tickets.dbthreads import AWAY, RETRY_AFTER_S
from tickets.errors import (
    AlreadyThere,
    BadAttachment,
    Blocked,
    FeedGone,
    IllegalStatus,
    InUse,
    LeaseLost,
    MovedOn,
    NotFailed,
    NotMergeable,
    TicketsError,
    WindowClosed,
)
from tickets.services.attachments import TooLarge, Unsupported

log = logging.getLogger(__name__)


class Unavailable(APIException):
    """503: the database is away."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "the database is away; try again"
    wait = RETRY_AFTER_S  # becomes Retry-After


class ApiExceptionHandler(ExceptionHandler):
    """Named by the settings: what is known of the database's absence is no error of ours."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        return Unavailable() if isinstance(exc, AWAY) else super().convert_known_exceptions(exc)

    def report_exception(self, exc: APIException, response: Any) -> None:
        if isinstance(exc, Unavailable):
            log.warning("the database is away: %s", str(self.exc).strip().partition("\n")[0])
        else:
            super().report_exception(exc, response)


class Conflict(APIException):
    """409: legal in itself, but not now."""

    status_code = status.HTTP_409_CONFLICT

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code)


class Refused(APIException):
    """A status of its own, with the code that tells why."""

    def __init__(self, status_code: int, code: str, detail: str) -> None:
        super().__init__(detail, code)
        self.status_code = status_code


CONFLICTS = (
    AlreadyThere,
    IllegalStatus,
    InUse,
    LeaseLost,
    MovedOn,
    NotFailed,
    NotMergeable,
    WindowClosed,
)
STATUSES = {TooLarge: 413, Unsupported: 415, Blocked: 403, FeedGone: 410}


def translated(error: TicketsError) -> APIException:
    """The HTTP answer to what the ground refused."""
    if isinstance(error, CONFLICTS):
        return Conflict(error.code, str(error))
    if isinstance(error, BadAttachment):
        return ValidationError({"attachments": [str(error)]})
    known = STATUSES.get(type(error))
    if known:
        return Refused(known, error.code, str(error))
    return ValidationError(str(error))


def by_field(error: DjangoValidationError) -> ValidationError:
    """A model's complaints, each with the field it is about, in DRF's words for all of them."""
    detail = get_error_detail(error)
    if isinstance(detail, dict) and NON_FIELD_ERRORS in detail:
        detail[api_settings.NON_FIELD_ERRORS_KEY] = detail.pop(NON_FIELD_ERRORS)
    return ValidationError(detail)
