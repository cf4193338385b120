"""消息, with a way from an answer of the bot to its replay."""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from ai_gateway.errors import NotAnAnswer
from ai_gateway.services import replay
from tickets.admin.conversations import MessageAdmin
from tickets.models import Message

admin.site.unregister(Message)  # the ground's page knows nothing of this wing


@admin.register(Message)
class MessageWithReplayAdmin(MessageAdmin):
    actions_detail = ("replay",)

    @action(description=_("决策回放"), url_path="replay", icon="replay", permissions=["view"])
    def replay(self, request: HttpRequest, object_id: int) -> HttpResponse:
        message = get_object_or_404(Message.objects.select_related("reply_to"), pk=object_id)
        try:
            replay.question_of(message)
        except NotAnAnswer:
            self.message_user(request, _("这条消息不是机器人的回答"), messages.WARNING)
            return redirect("admin:tickets_message_change", message.pk)
        return redirect("admin:ai_gateway_attempt_replay_of", message.pk)
