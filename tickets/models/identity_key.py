"""What else is known of an address: by which it may be found to be somebody's we know."""

from typing import Self

from django.db import models
from django.db.models import Index, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models.contact import ContactIdentity


class IdentityKeyQuerySet(models.QuerySet["IdentityKey"]):
    def like(self, key: "IdentityKey") -> Self:
        """The same key at addresses of other contacts."""
        same = self.filter(kind=key.kind, value=key.value)
        return same.exclude(identity__contact=key.identity.contact_id)


class IdentityKey(models.Model):
    """身份线索: one union id, phone number or mail address of an identity.

    Verified: the platform, or a signature of the organisation's own site, vouches for it. Two
    verified ones that are equal make one person; a claimed one only suggests it.
    """

    class Kind(models.TextChoices):
        UNION = "union", "UnionID"
        EMAIL = "email", _("邮箱")
        PHONE = "phone", _("手机号")

    identity = models.ForeignKey(
        ContactIdentity, models.CASCADE, related_name="keys", db_index=False
    )
    kind = models.CharField(_("类型"), max_length=8, choices=Kind.choices)
    value = models.CharField(_("值"), max_length=254)
    verified = models.BooleanField(_("已验证"), default=False)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)

    objects = IdentityKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("身份线索")
        verbose_name_plural = _("身份线索")
        constraints = [
            UniqueConstraint(fields=["identity", "kind", "value"], name="key_once_per_identity"),
        ]
        indexes = [Index(fields=["kind", "value"], name="key_value")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.value}"
