"""A list of sensitive words, and what is done where one of them is said."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

MOST_WORDS = 20_000
LONGEST_WORD = 60  # characters


class SensitiveListQuerySet(models.QuerySet["SensitiveList"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class SensitiveList(models.Model):
    """敏感词表. The words of a list share its action: a row a word would tell nothing more."""

    class Action(models.TextChoices):
        BLOCK = "block", _("拦截")
        HANDOFF = "handoff", _("转人工")
        MASK = "mask", _("打星号")

    class Direction(models.TextChoices):
        IN = "in", _("客户说的")
        OUT = "out", _("AI 说的")
        BOTH = "both", _("双方")

    name = models.CharField(_("名称"), max_length=80, unique=True)
    action = models.CharField(
        _("处理"),
        max_length=8,
        choices=Action.choices,
        default=Action.MASK,
        help_text=_("拦截：不发给 AI，或不显示 AI 的回答，由规则回答"),
    )
    direction = models.CharField(
        _("范围"), max_length=4, choices=Direction.choices, default=Direction.BOTH
    )
    words = ArrayField(models.CharField(max_length=LONGEST_WORD), verbose_name=_("敏感词"))
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = SensitiveListQuerySet.as_manager()

    class Meta:
        verbose_name = _("敏感词表")
        verbose_name_plural = _("敏感词表")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if len(self.words or ()) > MOST_WORDS:
            raise ValidationError(
                {"words": _("最多 %(most)s 个词，共有 %(count)s 个")},
                params={"most": MOST_WORDS, "count": len(self.words)},
            )
