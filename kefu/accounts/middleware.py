"""Where the second factor is required, a session that never gave one has ended."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse


def require_second_factor(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """After OTPMiddleware. Log-in itself already asks; this is for sessions from before."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.REQUIRE_TWO_FACTOR:
            user = request.user
            if user.is_authenticated and not user.is_verified():  # type: ignore[attr-defined]
                logout(request)
        return get_response(request)

    return middleware
