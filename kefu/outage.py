"""What pages answer while the database is away: 503 and when to come again, without asking it.

The API says the same in its own shape (`tickets.api.errors`), sockets in theirs.
"""

import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import server_error

from tickets.dbthreads import AWAY, RETRY_AFTER_S

log = logging.getLogger(__name__)


class OutageMiddleware(MiddlewareMixin):
    """For what a view raises."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return _away(error) if isinstance(error, AWAY) else None


def fault(request: HttpRequest) -> HttpResponse:
    """The URL map's `handler500`: also for what a middleware raises."""
    error = sys.exc_info()[1]
    return _away(error) if isinstance(error, AWAY) else server_error(request)


def _away(error: BaseException) -> HttpResponse:
    log.warning("the database is away: %s", str(error).strip().partition("\n")[0])
    page = render_to_string("503.html")
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
