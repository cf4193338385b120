"""知识库文章: written, imported from files, and how each was cut."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from ai_gateway import importing
from ai_gateway.admin.fields import LinesField
from ai_gateway.importing import CannotImport
from ai_gateway.models import Article
from ai_gateway.models.article import MOST_BODY
from ai_gateway.services import articles
from tickets.admin.base import KefuAdmin
from tickets.models import Inbox

MOST_FILES = 50


class ArticleForm(forms.ModelForm):
    labels = LinesField(label=_("标签"), help_text=_("每行一个"))

    class Meta:
        model = Article
        fields = [
            "title",
            "body",
            "category",
            "labels",
            "language",
            "inbox",
            "source_name",
            "source_url",
            "enabled",
        ]

    def clean_body(self) -> str:
        body = str(self.cleaned_data["body"])
        if len(body) > MOST_BODY:
            raise forms.ValidationError(
                _("文字超过 %(limit)s 字，请分成几篇"), params={"limit": MOST_BODY}
            )
        return body


class FilesInput(UnfoldAdminFileFieldWidget):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file or several."""

    def __init__(self, **values: Any) -> None:
        suffixes = ",".join(importing.READERS)
        widget = FilesInput(attrs={"multiple": True, "accept": suffixes})
        super().__init__(widget=widget, **values)

    def clean(self, data: Any, initial: Any = None) -> Any:
        files = data if isinstance(data, list) else [data]
        if len(files) > MOST_FILES:
            raise forms.ValidationError(
                _("一次最多 %(limit)s 个文件"), params={"limit": MOST_FILES}
            )
        return [forms.FileField(allow_empty_file=True).clean(file, None) for file in files]


class ImportForm(forms.Form):
    documents = FilesField(label=_("文件"), help_text=_("可以多选：.md .txt .html .docx .pdf"))
    inbox = forms.ModelChoiceField(
        Inbox.objects.order_by("name"),
        label=_("接入点"),
        required=False,
        empty_label=_("所有接入点"),
        widget=UnfoldAdminSelectWidget(),
    )
    category = forms.CharField(
        label=_("分类"), required=False, max_length=60, widget=UnfoldAdminTextInputWidget()
    )


@admin.register(Article)
class ArticleAdmin(KefuAdmin):
    form = ArticleForm
    list_display = (
        "title",
        "category",
        "inbox",
        "language",
        "shows_size",
        "enabled",
        "updated_at",
    )
    list_select_related = ("inbox",)
    list_filter = ("enabled", "language", "category", "inbox")
    search_fields = ("title", "body", "category", "source_name")
    ordering = ("-updated_at", "-pk")
    readonly_fields = ("shows_chunks",)
    actions_list = ("import_files",)
    fieldsets = (
        (None, {"fields": ("title", "body", "enabled")}),
        (_("归类"), {"fields": ("category", "labels", "language", "inbox")}),
        (_("来源"), {"fields": ("source_name", "source_url")}),
        (_("片段预览"), {"fields": ("shows_chunks",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(chunk_count=Count("chunks"))

    @display(description=_("片段"))
    def shows_size(self, article: Any) -> int:
        return int(article.chunk_count)

    @display(description=_("AI 和规则引用的片段"))
    def shows_chunks(self, article: Article) -> str:
        """As they were cut when the article was saved."""
        if article.pk is None:
            return str(_("保存后可见"))
        rows = article.chunks.order_by("position").values_list("heading", "text", "embedded_by")
        items = format_html_join(
            "",
            '<li><strong>{}</strong> <small>{}</small><p class="whitespace-pre-wrap">{}</p></li>',
            ((heading, _("已向量化") if model else "", text) for heading, text, model in rows),
        )
        return format_html("<ol>{}</ol>", items)

    def save_model(self, request: HttpRequest, obj: Article, form: Any, change: bool) -> None:
        articles.save(obj)

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    @action(description=_("导入文件"), url_path="import", icon="upload", permissions=["import"])
    def import_files(self, request: HttpRequest) -> HttpResponse:
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            for file in form.cleaned_data["documents"]:
                self._import(request, file, form.cleaned_data)
            return redirect("admin:ai_gateway_article_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": _("导入文件"),
            "form": form,
            "opts": self.opts,
        }
        return render(request, "admin/import_articles.html", context)

    def _import(self, request: HttpRequest, file: UploadedFile, values: dict[str, Any]) -> None:
        """One file; what is wrong with it is told, and the others go on."""
        name = str(file.name)
        try:
            if (file.size or 0) > importing.MOST_BYTES:
                raise importing.too_large()
            article, new = articles.import_file(
                name, file.read(), inbox=values["inbox"], category=values["category"]
            )
        except CannotImport as error:
            self.message_user(request, f"{name}: {error}", messages.ERROR)
            return
        if new:
            self.log_addition(request, article, [{"added": {}}])
        else:
            self.log_change(request, article, [{"changed": {"fields": ["body"]}}])
        done = _("已导入：%(title)s") if new else _("已更新：%(title)s")
        self.message_user(request, done % {"title": article.title}, messages.SUCCESS)
