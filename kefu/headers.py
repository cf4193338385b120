"""Security headers of every answer, static files and error pages included.

Outermost but for the trace, so that whatever answers, these are set. A view that needs
another policy says so with the decorators of django-csp (the chat page: who may frame it).
"""

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class HeadersMiddleware(CSPMiddleware):
    """Content-Security-Policy, for some paths with exceptions, and Permissions-Policy."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        # An error page of Django's DEBUG mode is left without a CSP by the parent, on purpose.
        return super().process_response(request, response)

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts: PolicyParts = super().get_policy_parts(request, response, report_only)
        if not report_only:
            parts.config = _merged(parts.config, _exceptions_of(request.path_info))
        return parts


def _exceptions_of(path: str) -> dict[str, Any]:
    """The directives that differ for a part of the site, {} for the rule."""
    for prefix, directives in settings.CSP_EXCEPTIONS.items():
        if path.startswith(prefix):
            return dict(directives)
    return {}


def _merged(own: dict[str, Any] | None, exceptions: dict[str, Any]) -> dict[str, Any] | None:
    """A policy that the view set itself stands; None means the one of the settings."""
    if own is not None or not exceptions:
        return own
    return {**settings.CONTENT_SECURITY_POLICY["DIRECTIVES"], **exceptions}
