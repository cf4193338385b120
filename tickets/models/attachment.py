"""A file that came with a message, or waits to be sent with one."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7
from tickets.models.contact import ContactIdentity
from tickets.models.message import Message


class Attachment(models.Model):
    """附件. Uploaded by an identity or by a user; sent once, with one message."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    message = models.ForeignKey(
        Message, models.PROTECT, null=True, blank=True, related_name="attachments"
    )
    identity = models.ForeignKey(
        ContactIdentity, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    position = models.PositiveSmallIntegerField(default=0)
    file = models.FileField(upload_to="attachments/%Y/%m/", max_length=200)
    name = models.CharField(_("文件名"), max_length=200)
    content_type = models.CharField(_("文件类型"), max_length=100)
    size = models.PositiveIntegerField(_("大小"), help_text=_("字节"))
    width = models.PositiveIntegerField(_("宽度"), null=True, blank=True)
    height = models.PositiveIntegerField(_("高度"), null=True, blank=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)

    class Meta:
        verbose_name = _("附件")
        verbose_name_plural = _("附件")

    def __str__(self) -> str:
        return self.name

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")
