"""What every view of the API has: rights, limits, answers given once, errors in one shape."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from tickets.api import auth, idempotency, limits
from tickets.api.errors import Refused, by_field, translated
from tickets.api.parsers import BoundedJSONParser
from tickets.api.renderers import SafeJSONRenderer
from tickets.envelopes import Author
from tickets.errors import TicketsError
from tickets.policy import Principal
from tickets.services import audit

S = TypeVar("S", bound=Serializer)


class ApiView(APIView):
    """The base of every view under `/api/v1/`, in whatever room.

    A handler may raise what the ground raises (`TicketsError`), DRF's exceptions and Http404.
    """

    renderer_classes = [SafeJSONRenderer]
    parser_classes: list[type[BaseParser]] = [BoundedJSONParser]
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    keeps_answers = True  # False: the view looks after Idempotency-Key itself
    request: Request
    _allowance: limits.Allowance | None = None

    @property
    def principal(self) -> Principal:
        principal = auth.principal_of(self.request)
        if principal is None:
            raise exceptions.NotAuthenticated()
        return principal

    @property
    def author(self) -> Author:
        return auth.author_of(self.principal)

    @property
    def now(self) -> datetime:
        return timezone.now()

    def body(self, serializer_class: type[S], **options: Any) -> dict[str, Any]:
        """The request's body, validated. Raises ValidationError, which names the field."""
        return self._read(serializer_class, self.request.data, **options)

    def filters(self, serializer_class: type[S]) -> dict[str, Any]:
        """The query's parameters, validated; what is not named there is an error."""
        return self._read(serializer_class, self.request.query_params)

    def _read(self, serializer_class: type[S], data: Any, **options: Any) -> dict[str, Any]:
        serializer = serializer_class(data=data, context={"view": self}, **options)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def perform_authentication(self, request: Request) -> None:
        """Count the request of whoever it is, also of those who are then turned away."""
        try:
            super().perform_authentication(request)
        except exceptions.APIException:
            self._allowance = limits.allowance_of_address(request)
            self._stop_if_exceeded()
            raise
        self._allowance = limits.allowance_of(request)
        self._stop_if_exceeded()

    def _stop_if_exceeded(self) -> None:
        if self._allowance and self._allowance.exceeded:
            raise exceptions.Throttled(self._allowance.reset_s)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """DRF's dispatch, but for the POSTs that are to happen once."""
        self.args, self.kwargs = args, kwargs
        request = self.initialize_request(request, *args, **kwargs)
        self.request, self.headers = request, self.default_response_headers
        response = self._guarded(lambda: self._answer(request, *args, **kwargs))
        self.response = self.finalize_response(request, response, *args, **kwargs)
        return self.response

    def _answer(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.initial(request, *args, **kwargs)
        method = (request.method or "").lower()
        allowed = method in self.http_method_names
        handler = getattr(self, method, None) if allowed else None
        handler = handler or self.http_method_not_allowed
        once = method == "post" and self.keeps_answers
        key = idempotency.key_of(request) if once else None
        with audit.acting(auth.actor_of(request)):
            if key is None:
                return handler(request, *args, **kwargs)
            return idempotency.run_once(
                request,
                key,
                lambda: self._guarded(lambda: handler(request, *args, **kwargs)),
                now=timezone.now(),
            )

    def _guarded(self, work: Callable[[], Response]) -> Response:
        """What the work answers, or what its error is in HTTP."""
        try:
            return work()
        except TicketsError as error:
            return self.handle_exception(translated(error))
        except RequestDataTooBig as error:
            return self.handle_exception(Refused(413, "too_large", str(error)))
        except DjangoValidationError as error:
            return self.handle_exception(by_field(error))
        except Exception as error:  # the outermost edge: DRF logs and answers what it can
            return self.handle_exception(error)

    def finalize_response(
        self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = super().finalize_response(request, response, *args, **kwargs)
        allowance = self._allowance or limits.allowance_of_address(request)
        for name, value in allowance.headers.items():
            response[name] = value
        return response


class ApiViewSet(ViewSetMixin, ApiView):
    """The same for several actions of one noun; `action` names the method being run."""

    # Ids, keys, slugs: nothing else reaches a query, so a NUL or a page of text is a 404.
    lookup_value_regex = r"[A-Za-z0-9_-]{1,40}"
    lookup_url_kwarg = "id"


class NotFoundView(ApiView):
    """What has no route, in the API's own words."""

    permission_classes: list[Any] = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise exceptions.NotFound()
