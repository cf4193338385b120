"""Conversations and what was said in them: to look at; changes go through the services."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from tickets import trace
from tickets.admin.base import ReadOnlyAdmin
from tickets.envelopes import Author
from tickets.errors import TicketsError
from tickets.models import Attachment, Conversation, Message, Rating, Ticket
from tickets.services import conversations

LAST_MESSAGES = 50


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = (
        "number", "contact", "inbox", "team_name", "assignee_name", "status", "priority",
        "last_message_at",
    )  # fmt: skip
    list_select_related = ("contact", "inbox", "team", "assignee")
    list_filter = ("status", "inbox", "team", "priority")
    search_fields = ("=contact__name", "=contact__email", "=contact__phone")
    search_help_text = _("会话编号，或客户姓名、邮箱、手机的全文")
    ordering = ("-last_message_at", "-pk")
    fields = (
        "number", "contact", "inbox", "team_name", "assignee_name", "status", "owner_kind",
        "priority", "labels_text", "custom", "unread", "created_at", "updated_at", "log",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("resolve", "release", "return_to_bot")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A number is a conversation's; words are a contact's."""
        number = search_term.strip().lstrip("#")
        if number.isascii() and number.isdigit() and len(number) < 19:
            return queryset.filter(pk=int(number)), False
        return super().get_search_results(request, queryset, search_term)

    @display(description=_("编号"), ordering="pk")
    def number(self, conversation: Conversation) -> str:
        return f"#{conversation.pk}"

    @display(description=_("客服组"))
    def team_name(self, conversation: Conversation) -> str:
        return str(conversation.team or "—")

    @display(description=_("负责人"))
    def assignee_name(self, conversation: Conversation) -> str:
        return str(conversation.assignee or "—")

    @display(description=_("标签"))
    def labels_text(self, conversation: Conversation) -> str:
        return ", ".join(label.name for label in conversation.labels.all()) or "—"

    @display(description=_("最近消息"))
    def log(self, conversation: Conversation) -> str:
        latest = conversation.messages.order_by("-seq")[:LAST_MESSAGES]
        lines = format_html_join(
            "",
            "<li>{} {} {}：{}</li>",
            (
                (line.seq, timezone.localtime(line.created_at).strftime("%m-%d %H:%M"),
                 line.get_author_kind_display(), line.text)
                for line in reversed(list(latest))
            ),
        )  # fmt: skip
        where = f"/console/c/{conversation.pk}"
        return format_html('<ul>{}</ul><a href="{}">{}</a>', lines, where, _("在工作台打开"))

    @admin.action(description=_("解决所选会话"), permissions=["act"])
    def resolve(self, request: HttpRequest, rows: QuerySet[Conversation]) -> None:
        self._each(request, rows, conversations.resolve, "resolved")

    @admin.action(description=_("退回队列"), permissions=["act"])
    def release(self, request: HttpRequest, rows: QuerySet[Conversation]) -> None:
        self._each(request, rows, conversations.release, "queued")

    @admin.action(description=_("交还机器人"), permissions=["act"])
    def return_to_bot(self, request: HttpRequest, rows: QuerySet[Conversation]) -> None:
        self._each(request, rows, conversations.return_to_bot, "bot")

    def _each(
        self,
        request: HttpRequest,
        rows: QuerySet[Conversation],
        service: Callable[..., Any],
        becomes: str,
    ) -> None:
        """The service for each row; those whose status forbids it are counted and left."""
        done = left = 0
        author = Author.agent(request.user.pk or 0)
        for conversation in rows:
            before = conversation.status
            try:
                service(conversation, by=author, now=timezone.now())
            except TicketsError:
                left += 1
                continue
            done += 1
            diff = {"status": [before, becomes]}
            self.log_change(request, conversation, [{"changed": {}}, {"diff": diff}])
        text = ngettext("已处理 %(n)s 个会话", "已处理 %(n)s 个会话", done) % {"n": done}
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)
        if left:
            rest = ngettext("%(n)s 个会话当前状态不允许", "%(n)s 个会话当前状态不允许", left)
            self.message_user(request, rest % {"n": left}, messages.WARNING)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("place", "kind", "author_kind", "inbox", "status", "beginning", "created_at")
    list_select_related = ("inbox",)
    list_filter = ("kind", "status", "inbox")
    search_help_text = _("会话编号")
    search_fields = ("conversation__pk",)
    ordering = ("-pk",)
    fields = (
        "place", "kind", "author_kind", "author_user", "inbox", "identity", "text", "status",
        "provider_code", "provider_detail", "created_at", "way",
    )  # fmt: skip
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        number = search_term.strip().lstrip("#")
        if not number:
            return queryset, False
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            return queryset.none(), False
        return queryset.filter(conversation_id=int(number)), False

    @display(description=_("投递记录"))
    def way(self, message: Message) -> str:
        """Hop by hop, with the name by which logs know it."""
        lines = format_html_join(
            "",
            "<li>{} {} {} {}</li>",
            (
                (f"{timezone.localtime(hop.at):%m-%d %H:%M:%S}", trace.stage_words(hop.stage),
                 trace.RESULTS[hop.result], " ".join(filter(None, (hop.code, hop.detail))))
                for hop in trace.hops_of(message)
            ),
        )  # fmt: skip
        return format_html("<ol>{}</ol>trace {}", lines, message.trace or "—")

    @display(description=_("会话 / 序号"))
    def place(self, message: Message) -> str:
        url = reverse("admin:tickets_conversation_change", args=[message.conversation_id])
        return format_html('<a href="{}">#{}</a> / {}', url, message.conversation_id, message.seq)

    @display(description=_("内容"))
    def beginning(self, message: Message) -> str:
        return message.text[:60]


@admin.register(Attachment)
class AttachmentAdmin(ReadOnlyAdmin):
    list_display = ("name", "content_type", "size", "created_at")
    search_fields = ("=name",)
    ordering = ("-pk",)
    fields = ("name", "content_type", "size", "width", "height", "created_at")


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    list_display = ("conversation", "score", "solved", "agent", "comment", "created_at")
    list_select_related = ("conversation", "agent")
    list_filter = ("score", "solved")
    ordering = ("-pk",)


@admin.register(Ticket)
class TicketAdmin(ReadOnlyAdmin):
    list_display = ("title", "status", "priority", "team", "owner", "contact", "created_at")
    list_select_related = ("team", "owner", "contact")
    list_filter = ("status", "priority", "team")
    search_fields = ("=title",)
    ordering = ("-pk",)
    fields = (
        "title", "type", "status", "priority", "team", "owner", "contact", "conversation_numbers",
        "custom", "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description=_("会话"))
    def conversation_numbers(self, ticket: Ticket) -> str:
        return ", ".join(f"#{pk}" for pk in ticket.conversations.values_list("pk", flat=True))
