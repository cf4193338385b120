"""An endpoint: one AI service that we may ask, and how."""

from collections.abc import Mapping
from typing import Any, Self, cast

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from ai_gateway.protocol import EndpointConfig
from tickets.fields import EncryptedJSONField
from tickets.outbound import validate_url


def validate_object(value: object) -> None:
    """Raise ValidationError unless the JSON value is an object."""
    if not isinstance(value, Mapping):
        raise ValidationError(_("应为 JSON 对象"))


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)

    def chain(self, slug: str | None = None) -> list["Endpoint"]:
        """The named endpoint, or the default one, and its fallbacks, in the order of asking."""
        wanted = self.enabled().filter(slug=slug) if slug else self.enabled().filter(default=True)
        first = wanted.first()
        if first is None:
            return []
        others = {e.slug: e for e in self.enabled().filter(slug__in=first.fallbacks)}
        return [first, *(others[name] for name in first.fallbacks if name in others)]


class Endpoint(models.Model):
    """AI 接口. Named by its slug in API and files.

    A row whose backend is not installed, or that lacks what its backend needs, is kept:
    it is "not configured", and nobody asks it.
    """

    class Health(models.TextChoices):
        UNKNOWN = "unknown", _("未知")
        OK = "ok", _("正常")
        FAILING = "failing", _("异常")

    slug = models.SlugField(_("标识"), max_length=40, unique=True)
    backend = models.CharField(_("类型"), max_length=40)
    base_url = models.CharField(_("地址"), max_length=500, blank=True, validators=[validate_url])
    credentials = EncryptedJSONField(_("凭据"), default=dict, blank=True)
    model = models.CharField(_("模型"), max_length=120, blank=True)
    options = models.JSONField(_("选项"), default=dict, blank=True, validators=[validate_object])
    timeout_s = models.FloatField(
        _("超时（秒）"),
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(600)],
        help_text=_("一次调用最长的时间"),
    )
    fallbacks = ArrayField(
        models.CharField(max_length=40),
        verbose_name=_("备用接口"),
        default=list,
        blank=True,
        help_text=_("按顺序，写标识"),
    )
    mask_personal_data = models.BooleanField(
        _("隐去个人信息"),
        default=True,
        help_text=_("手机号、身份证、银行卡、邮箱以占位符发给对方，回答里再换回来"),
    )
    default = models.BooleanField(_("默认"), default=False)
    enabled = models.BooleanField(_("启用"), default=True)
    health = models.CharField(
        _("状态"), max_length=8, choices=Health.choices, default=Health.UNKNOWN, editable=False
    )
    health_detail = models.CharField(max_length=80, blank=True, editable=False)
    health_at = models.DateTimeField(_("检查时间"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("AI 接口")
        verbose_name_plural = _("AI 接口")
        constraints = [
            UniqueConstraint(
                fields=["default"], name="endpoint_one_default", condition=Q(default=True)
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def api_key(self) -> str:
        return str(self._secrets().get("api_key", ""))

    @api_key.setter
    def api_key(self, key: str) -> None:
        kept: Any = {**self._secrets(), "api_key": key} if key else {}
        self.credentials = kept

    def _secrets(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.credentials)  # django-stubs see a text column

    def clean(self) -> None:
        if self.slug in self.fallbacks:
            raise ValidationError({"fallbacks": _("接口不能是自己的备用")})
        if len(set(self.fallbacks)) < len(self.fallbacks):
            raise ValidationError({"fallbacks": _("同一个接口写了两次")})

    def config(self) -> EndpointConfig:
        """What its backend is told."""
        return EndpointConfig(
            slug=self.slug,
            backend=self.backend,
            base_url=self.base_url,
            api_key=self.api_key,
            model=self.model,
            options=self.options,
            timeout_s=self.timeout_s,
            mask_personal_data=self.mask_personal_data,
        )
