"""Routes of the ground's API, below `/api/v1/`. The last one answers for all that are none."""

from django.urls import URLPattern, path, re_path

from tickets.api.base import ApiViewSet, NotFoundView
from tickets.api.contacts import ContactViews
from tickets.api.conversations import ConversationViews
from tickets.api.events import EventsView
from tickets.api.inboxes import InboundView, InboxViews
from tickets.api.organisation import ApiKeyViews, LabelViews, TeamViews
from tickets.api.routes import action, rows_of
from tickets.api.schema_views import DocsView, SchemaView
from tickets.api.uploads import UploadView
from tickets.api.webhooks import WebhookViews

_ID = ApiViewSet.lookup_value_regex
_MESSAGE = f"messages/(?P<message>{_ID})"

_CONVERSATIONS = [
    action(ConversationViews, "conversations", word, post=word.replace("-", "_"))
    for word in (
        "assign",
        "transfer",
        "take-over",
        "return-to-bot",
        "resolve",
        "reopen",
        "snooze",
    )
]

urlpatterns: list[URLPattern] = [
    *rows_of(ConversationViews, "conversations"),
    action(ConversationViews, "conversations", "messages", get="messages", post="create_message"),
    action(ConversationViews, "conversations", f"{_MESSAGE}/trace", get="trace"),
    action(ConversationViews, "conversations", f"{_MESSAGE}/resend", post="resend"),
    action(ConversationViews, "conversations", "destinations", get="destinations"),
    *_CONVERSATIONS,
    *rows_of(ContactViews, "contacts"),
    action(ContactViews, "contacts", "identities", get="identities", post="add_identity"),
    action(ContactViews, "contacts", "merge", post="merge"),
    action(ContactViews, "contacts", "links", get="links"),
    action(ContactViews, "contacts", "suggestions", get="suggestions"),
    action(ContactViews, "contacts", f"suggestions/(?P<link>{_ID})/decline", post="decline"),
    action(ContactViews, "contacts", f"links/(?P<link>{_ID})/undo", post="undo"),
    path("events/", EventsView.as_view()),
    path("uploads/", UploadView.as_view()),
    *rows_of(InboxViews, "inboxes"),
    re_path(f"^inboxes/(?P<key>{_ID})/messages/$", InboundView.as_view()),
    *rows_of(WebhookViews, "webhooks"),
    action(WebhookViews, "webhooks", "deliveries", get="deliveries"),
    action(WebhookViews, "webhooks", f"deliveries/(?P<delivery>{_ID})/replay", post="replay"),
    *rows_of(TeamViews, "teams"),
    *rows_of(LabelViews, "labels"),
    *rows_of(ApiKeyViews, "api-keys"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(url_name="schema"), name="api-docs"),
]

# Stands after the routes of every room (kefu/urls.py).
nothing_here: list[URLPattern] = [re_path(r"^[\s\S]*/$", NotFoundView.as_view())]
