"""The console's pages."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from agents import views


class NumberConverter(IntConverter):
    """A conversation's number: no larger than the column it is looked up in."""

    regex = "[0-9]{1,18}"


register_converter(NumberConverter, "number")

urlpatterns = [
    path("", views.home, name="home"),
    path("console/", views.console, name="console"),
    path("console/c/<number:number>", views.conversation, name="conversation"),
    path("console/fragments/list/", views.list_fragment, name="console_list"),
    path(
        "console/fragments/c/<number:number>/",
        views.conversation_fragment,
        name="console_conversation",
    ),
]
