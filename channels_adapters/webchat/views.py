"""Pages of the web channel: the loader script, the chat page, and the demo shop."""

import hashlib
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from channels_adapters.webchat import pages
from channels_adapters.webchat.texts import SCRIPT_TEXTS
from tickets.models import Inbox

LOADER = Path("webchat/loader.js")
LOADER_MAX_AGE_S = 3600


@cache
def loader() -> tuple[bytes, str]:
    """The loader's text and its ETag; read once in a process's life."""
    body = (settings.BASE_DIR / "static" / LOADER).read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'


@require_safe
def widget_script(request: HttpRequest) -> HttpResponse:
    """`/widget/v1.js`: changes in place, so it is kept for an hour and then asked about by ETag."""
    body, etag = loader()
    response = HttpResponse(body, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={LOADER_MAX_AGE_S}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["ETag"] = etag
    return get_conditional_response(request, etag=etag, response=response) or response


@require_safe
@xframe_options_exempt
def chat(request: HttpRequest, inbox_key: str) -> HttpResponse:
    """The full-page chat, also in the widget's frame; only the inbox's sites may frame it."""
    inbox = get_object_or_404(Inbox.objects.enabled(), key=inbox_key, type=Inbox.Type.WEB)
    language = pages.language_of(request)
    with translation.override(language):
        config = pages.page_config(inbox, language)
        texts = {key: str(text) for key, text in SCRIPT_TEXTS.items()}
        context = {"config": config, "texts": texts, "initial": config["name"][:1]}
        response = render(request, "webchat/chat.html", context)
    response.headers["Content-Security-Policy"] = pages.content_security_policy(request, inbox)
    response.headers["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Language"])
    return response


@require_safe
def demo_shop(request: HttpRequest) -> HttpResponse:
    """A made-up shop with the widget on it; only where demo data was asked for."""
    inbox = Inbox.objects.enabled().filter(type=Inbox.Type.WEB).order_by("pk").first()
    if not settings.KEFU_DEMO or inbox is None:
        raise Http404
    return render(request, "demo/shop.html", {"inbox": inbox})
