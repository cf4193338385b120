"""A contact, the addresses they write from, and why we believe that two addresses are one person.

Addresses are never rewritten. A merge is a link with evidence between two contacts; what
belongs to whom is computed from the links that stand, so an undo is a link revoked
(`services.contacts`). `home` is where an identity was first seen and never changes;
`contact` is the computed owner.
"""

from typing import Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7
from tickets.models.inbox import Inbox
from tickets.models.label import Label


class ContactQuerySet(models.QuerySet["Contact"]):
    def standing(self) -> Self:
        """Those who are not merged into another."""
        return self.filter(merged_into__isnull=True)


class Contact(models.Model):
    """客户: a person who writes to us."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    name = models.CharField(_("姓名"), max_length=120, blank=True)
    email = models.EmailField(_("邮箱"), blank=True)
    phone = models.CharField(_("手机"), max_length=40, blank=True)
    avatar_url = models.URLField(_("头像"), max_length=500, blank=True)
    language = models.CharField(_("语言"), max_length=16, blank=True)
    custom = models.JSONField(_("自定义属性"), default=dict, blank=True)
    labels = models.ManyToManyField(Label, related_name="contacts", blank=True)
    blocked_at = models.DateTimeField(_("拉黑时间"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="merged"
    )
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("客户")
        verbose_name_plural = _("客户")

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        """The name, or 访客 and the end of the id, as everywhere on the screen."""
        return self.display_name_of(self.name, self.public_id)

    @staticmethod
    def display_name_of(name: str, public_id: UUID) -> str:
        return name or gettext("访客 %(code)s") % {"code": str(public_id)[-4:].upper()}


class ContactIdentity(models.Model):
    """That contact in one inbox: the address that messages come from and go to."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    inbox = models.ForeignKey(
        Inbox, models.PROTECT, related_name="identities", verbose_name=_("接入点")
    )
    external_id = models.CharField(_("外部 ID"), max_length=200)
    home = models.ForeignKey(Contact, models.PROTECT, related_name="home_identities")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="identities")
    verified = models.BooleanField(_("已验证"), default=False)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    last_seen_at = models.DateTimeField(_("最近来访"), null=True, blank=True)

    class Meta:
        verbose_name = _("身份")
        verbose_name_plural = _("身份")
        constraints = [
            UniqueConstraint(fields=["inbox", "external_id"], name="identity_once_per_inbox"),
        ]

    def __str__(self) -> str:
        return self.external_id


class IdentityLinkQuerySet(models.QuerySet["IdentityLink"]):
    def standing(self) -> Self:
        return self.filter(revoked_at__isnull=True)

    def joining(self) -> Self:
        """Those that make two contacts one: proven, or decided by a person."""
        return self.standing().filter(Q(verified=True) | Q(actor__isnull=False))


class IdentityLink(models.Model):
    """Evidence that two contacts are one person; revoked, it stays as history."""

    class Evidence(models.TextChoices):
        USER_ID = "user_id", _("登录签名")
        UNIONID = "unionid", "UnionID"
        EMAIL = "email", _("邮箱")
        PHONE = "phone", _("手机号")
        SCAN = "scan", _("扫码继续")
        MANUAL = "manual", _("人工合并")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    primary = models.ForeignKey(
        Contact, models.CASCADE, related_name="links_as_primary", verbose_name=_("主客户")
    )
    secondary = models.ForeignKey(
        Contact, models.CASCADE, related_name="links_as_secondary", verbose_name=_("被合并客户")
    )
    evidence = models.CharField(_("依据"), max_length=16, choices=Evidence.choices)
    detail = models.CharField(_("说明"), max_length=200, blank=True)
    verified = models.BooleanField(_("已验证"), default=False)
    source = models.CharField(_("来源"), max_length=40)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("操作人"),
    )
    created_at = models.DateTimeField(_("创建时间"))
    revoked_at = models.DateTimeField(_("撤销时间"), null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("撤销人"),
    )

    objects = IdentityLinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("身份关联")
        verbose_name_plural = _("身份关联")
        constraints = [
            CheckConstraint(name="link_joins_two", condition=~Q(primary=F("secondary"))),
            UniqueConstraint(
                fields=["primary", "secondary", "evidence"],
                name="link_stands_once",
                condition=Q(revoked_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.primary_id} ← {self.secondary_id} ({self.evidence})"
