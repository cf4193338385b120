"""A label: a word with a colour that people put on conversations and contacts."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7


class Label(models.Model):
    """标签. Named by its name everywhere."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    name = models.CharField(_("名称"), max_length=40, unique=True)
    color = models.CharField(
        _("颜色"),
        max_length=7,
        default="#7A8392",
        validators=[RegexValidator(r"^#[0-9A-Fa-f]{6}$")],
    )

    class Meta:
        verbose_name = _("标签")
        verbose_name_plural = _("标签")

    def __str__(self) -> str:
        return self.name
