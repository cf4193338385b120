"""The doors as Django's views: for servers without `doors.asgi`, and for the map of URLs."""

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from ai_gateway.doors import openai, openai_errors
from ai_gateway.doors.exchange import Call, Reply
from tickets import net


def call_of(request: HttpRequest) -> Call:
    """Raises RequestDataTooBig."""
    address = net.client_ip(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXIES,
    )
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(request.method or "", request.path_info, headers, request.body, address)


def response_of(reply: Reply) -> HttpResponseBase:
    kind = HttpResponse if isinstance(reply.body, bytes) else StreamingHttpResponse
    return kind(reply.body, status=reply.status, headers=reply.all_headers)


@csrf_exempt
def open_ai(request: HttpRequest, **_parts: str) -> HttpResponseBase:
    """`/v1/…`: keys only, no session, so nothing for another site to misuse."""
    try:
        call = call_of(request)
    except RequestDataTooBig as error:
        return response_of(openai_errors.reply_to(error))
    return response_of(async_to_sync(openai.answer)(call))
