"""What our admin pages share: bounded counting, read-only rows, and a record of each change."""

import json
from typing import Any

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext
from unfold.admin import ModelAdmin

from tickets.fields import masked
from tickets.services import configuration

COUNT_AT_MOST = 10_000
SHOWN_AT_MOST = 200  # characters of a value in the record of changes


class BoundedPaginator(Paginator):
    """Counts to ten thousand and no further: a list of millions opens as fast as a short one."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by()[:COUNT_AT_MOST].count()


class KefuAdmin(ModelAdmin):
    """Every page of ours. Who changed what, from which value to which, is kept with the log."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    secret_fields: tuple[str, ...] = ()

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[dict[str, Any]]:
        """Django's message; what it calls "changed" also gets the values before and after."""
        message: list[dict[str, Any]] = super().construct_change_message(
            request, form, formsets, add
        )
        changes = {name: self._change(form, name) for name in form.changed_data}
        if changes:
            message.append({"diff": changes})
        return message

    def _change(self, form: Any, name: str) -> list[str]:
        before, after = form.initial.get(name), form.cleaned_data.get(name)
        if self.is_secret(name):
            return [_as_secret(before), _as_secret(after)]
        field = form.fields[name]
        return [_as_text(field, before), _as_text(field, after)]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What is in use stays, also of several; said by noun, for its users may be millions."""
        kept = [
            gettext("“%(row)s”正在使用：%(nouns)s") % {"row": row, "nouns": "、".join(nouns)}
            for row in objs
            if (nouns := configuration.used_by(row))
        ]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """A filter that no row can have is answered like any other that makes no sense."""
        if any("\x00" in value for values in request.GET.lists() for value in values[1]):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)

    def is_secret(self, name: str) -> bool:
        return name in self.secret_fields or name.startswith(("credential_", "password"))


class ReadOnlyAdmin(KefuAdmin):
    """Rows that only services write: to be found and looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """For actions that call services: whoever may change rows of this kind by their role."""
        meta = self.opts
        return request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}")


def _as_secret(value: Any) -> str:
    return masked(str(value)) if value else ""


def _as_text(field: forms.Field, value: Any) -> str:
    """A form's value in words: choices by their label, rows by their name, no longer than fits."""
    if isinstance(field, forms.ModelMultipleChoiceField):
        text = ", ".join(sorted(str(row) for row in value or ()))
    elif isinstance(field, forms.ModelChoiceField) and value and not isinstance(value, Model):
        text = str(field.queryset.filter(pk=value).first() if field.queryset is not None else value)
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(field, forms.ChoiceField):
        text = str(dict(field.choices).get(value, value))  # type: ignore[arg-type]
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= SHOWN_AT_MOST else f"{text[:SHOWN_AT_MOST]}…"
