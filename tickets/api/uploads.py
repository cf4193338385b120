"""Files on their way into a message."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from tickets.api import shapes
from tickets.api.base import ApiView
from tickets.api.fields import StrictSerializer
from tickets.payloads import attachment_payload
from tickets.services import attachments


class UploadBody(StrictSerializer):
    # Empty files are for `attachments.store` to refuse, as 415 like all that it does not keep.
    file = serializers.FileField(allow_empty_file=True, max_length=1000)


class UploadView(ApiView):
    """uploads/"""

    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": UploadBody}, responses={201: shapes.AttachmentShape}
    )
    def post(self, request: Request) -> Response:
        file = self.body(UploadBody)["file"]
        stored = attachments.store(file, name=file.name or "", uploader_id=self.principal.user_id)
        return Response(attachment_payload(stored), status=201)
