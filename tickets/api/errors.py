"""What the API refuses, as HTTP: the ground's errors translated, in one table."""

from rest_framework import exceptions, status
from rest_framework.exceptions import APIException, ValidationError

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


def not_found() -> exceptions.NotFound:
    """The same for what is not there and for what one may not see."""
    return exceptions.NotFound()
