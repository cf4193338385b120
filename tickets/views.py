"""Files, by signed links alone."""

from django.core import signing
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.http import require_safe

from tickets import files
from tickets.models import Attachment


@require_safe
def attachment(request: HttpRequest, token: str) -> HttpResponse | FileResponse:
    """`/files/<token>/`: pictures inline, all else to be saved; 403 where expired or altered."""
    try:
        public_id = files.public_id_of(token)
    except signing.BadSignature:
        return HttpResponseForbidden("link expired or altered", content_type="text/plain")
    found = Attachment.objects.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    response = FileResponse(
        found.file.open("rb"),
        as_attachment=not found.is_image,
        filename=found.name,
        content_type=found.content_type,
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, max-age=600"
    return response
