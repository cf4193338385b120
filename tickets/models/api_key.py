"""API keys of programs, and the answers kept for those who ask twice."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.fields import EncryptedJSONField
from tickets.ids import uuid7

TOKEN_PREFIX = "kefu_"  # noqa: S105  lets secret scanners and people know a key of ours
USED_RESOLUTION = timedelta(minutes=1)
KEPT_FOR = timedelta(hours=24)


def digest_of(token: str) -> str:
    """What is stored of a key: it has 256 random bits, so a plain fast hash is enough."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def valid_at(self, now: datetime) -> Self:
        """Not expired, and where they act for somebody, for one who may still log in."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            Q(user__isnull=True) | Q(user__is_active=True),
        )

    def with_token(self, token: str) -> Self:
        return self.filter(digest=digest_of(token))


class ApiKey(models.Model):
    """API 密钥. The token itself is shown once, when it is made, and never stored."""

    class Scope(models.TextChoices):
        READ = "read", _("读取")
        WRITE = "write", _("写入")
        CONSOLE = "console", _("工作台")
        AI = "ai", _("AI 问答")
        ADMIN = "admin", _("配置")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    name = models.CharField(_("名称"), max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(_("开头"), max_length=12, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=8, choices=Scope.choices), verbose_name=_("权限范围")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="api_keys",
        verbose_name=_("代表的客服"),
        help_text=_("不选：可见全部，以系统的名义写入"),
    )
    per_minute = models.PositiveIntegerField(_("每分钟请求上限"), default=600)
    expires_at = models.DateTimeField(_("到期时间"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("最近使用"), null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("创建人"),
    )
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API 密钥")
        verbose_name_plural = _("API 密钥")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def give_token(self) -> str:
        """Make this key's token, unsaved; the answer is the only time that anybody sees it."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.digest, self.prefix = digest_of(token), token[:12]
        return token


class IdempotencyRecord(models.Model):
    """The answer to a POST that bore an Idempotency-Key, kept for a day.

    Written in the transaction of the work itself: either both are there or neither is, and a
    twin that comes meanwhile waits at the unique index.
    """

    owner = models.CharField(max_length=60)  # "key:<pk>" or "user:<pk>"
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # of method, path and body
    status = models.PositiveSmallIntegerField(default=0)
    # {"data": …}: encrypted, for the answer to a new API key holds the key.
    answer = EncryptedJSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("幂等记录")
        verbose_name_plural = _("幂等记录")
        constraints = [UniqueConstraint(fields=["owner", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
