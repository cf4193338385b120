"""What the API refuses, as HTTP: the ground's errors translated, in one table."""

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.settings import api_settings

from tickets.errors import (
    AlreadyThere,
    BadAttachment,
    Blocked,
    IllegalStatus,
    InUse,
    LeaseLost,
    MovedOn,
    NotMergeable,
    TicketsError,
    WindowClosed,
)
from tickets.services.attachments import TooLarge, Unsupported


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


CONFLICTS = (AlreadyThere, IllegalStatus, InUse, LeaseLost, MovedOn, NotMergeable, WindowClosed)
STATUSES = {TooLarge: 413, Unsupported: 415, Blocked: 403}


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
