"""The knowledge base: articles, and the passages that they are cut into to be found."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models import Inbox

MOST_BODY = 200_000  # characters


class RealField(models.Field):
    """A number of four bytes: what an embedding's numbers are worth."""

    def db_type(self, connection: Any) -> str:
        return "real"


class ArticleQuerySet(models.QuerySet["Article"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)

    def for_inbox(self, inbox_id: int | None) -> Self:
        """Those of every inbox, and those of this one."""
        return self.filter(Q(inbox=None) | Q(inbox=inbox_id))


class Article(models.Model):
    """文章, in Markdown. Only `services.articles` writes it, for its passages go with it."""

    class Language(models.TextChoices):
        CHINESE = "zh", _("中文")
        ENGLISH = "en", _("英文")

    title = models.CharField(_("标题"), max_length=200)
    body = models.TextField(_("正文"), help_text=_("Markdown，最多 20 万字"))
    category = models.CharField(_("分类"), max_length=60, blank=True)
    labels = ArrayField(
        models.CharField(max_length=40), verbose_name=_("标签"), default=list, blank=True
    )
    language = models.CharField(
        _("语言"), max_length=8, choices=Language.choices, default=Language.CHINESE
    )
    inbox = models.ForeignKey(
        Inbox,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("接入点"),
        help_text=_("不选：所有接入点"),
    )
    source_name = models.CharField(
        _("来源"), max_length=200, blank=True, help_text=_("文件名或系统名")
    )
    source_url = models.URLField(
        _("来源链接"), max_length=500, blank=True, help_text=_("客户看到的出处，可以点开")
    )
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = ArticleQuerySet.as_manager()

    class Meta:
        verbose_name = _("知识库文章")
        verbose_name_plural = _("知识库文章")
        indexes = [Index(fields=["source_name"], name="article_source")]

    def __str__(self) -> str:
        return self.title


class ArticleChunk(models.Model):
    """A passage: as much of an article as an answer needs.

    `words` are its pairs of characters and its Latin words (`search_terms`). `embedding` is
    an array and no `vector`: a given PostgreSQL may not have that type, and a column of it would
    make the whole table depend on an extension. The cast for a search is a copy of 4 KB.
    """

    article = models.ForeignKey(
        Article, models.CASCADE, related_name="chunks", verbose_name=_("文章")
    )
    position = models.PositiveIntegerField(_("位置"))
    heading = models.CharField(_("小标题"), max_length=200, blank=True)
    text = models.TextField(_("文字"))
    words: Any = SearchVectorField(_("检索词"))
    embedding = ArrayField(RealField(), verbose_name=_("向量"), null=True, blank=True)
    embedded_by = models.CharField(_("向量模型"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("知识库片段")
        verbose_name_plural = _("知识库片段")
        constraints = [
            UniqueConstraint(fields=["article", "position"], name="article_chunk_position"),
        ]
        indexes = [GinIndex(fields=["words"], name="article_chunk_words")]

    def __str__(self) -> str:
        return f"{self.article_id}/{self.position}"
