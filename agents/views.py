"""The console's pages: thin doors over `pages`, which reads what they show."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agents import buckets, pages
from tickets import policy


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Staff to their console; whoever looks at a demonstration to its shop."""
    if settings.KEFU_DEMO and not request.user.is_authenticated:
        return redirect("/demo/")
    return redirect("console")


@never_cache
@login_required
@require_safe
def console(request: HttpRequest) -> HttpResponse:
    """The list, and no conversation yet."""
    desk, listing = _desk(request), buckets.Listing.from_query(request.GET)
    context = pages.frame(desk, listing) | pages.rows(desk, listing) | pages.NO_CONVERSATION
    return render(request, "agents/console.html", context)


@never_cache
@login_required
@require_safe
def conversation(request: HttpRequest, number: int) -> HttpResponse:
    """The list with one conversation beside it; 404 for one that may not be seen."""
    desk, listing = _desk(request), buckets.Listing.from_query(request.GET)
    context = pages.frame(desk, listing) | pages.rows(desk, listing)
    opened = pages.conversation(desk, number)
    if opened is None:
        return _not_found(request, context)
    return render(request, "agents/console.html", context | opened)


@never_cache
@login_required
@require_safe
def list_fragment(request: HttpRequest) -> HttpResponse:
    """The rows alone, for another bucket, order or page."""
    desk, listing = _desk(request), buckets.Listing.from_query(request.GET)
    context = pages.frame(desk, listing) | pages.rows(desk, listing)
    return render(request, "agents/_list.html", context)


@never_cache
@login_required
@require_safe
def conversation_fragment(request: HttpRequest, number: int) -> HttpResponse:
    """The conversation and its context pane alone; 404 for one that may not be seen."""
    desk, listing = _desk(request), buckets.Listing.from_query(request.GET)
    opened = pages.conversation(desk, number)
    if opened is None:
        return render(request, "agents/_not_found.html", status=404)
    return render(request, "agents/_pane.html", pages.frame(desk, listing) | opened)


def _desk(request: HttpRequest) -> pages.Desk:
    assert isinstance(request.user, User)  # login_required
    # The lazy user becomes the person: their profile is looked up by them.
    return pages.Desk(request.user, policy.principal_of(request.user))


def _not_found(request: HttpRequest, context: pages.Context) -> HttpResponse:
    """Deleted, moved, never there or not theirs: one page for all, within the console's frame."""
    missing = context | pages.NO_CONVERSATION | {"not_found": True}
    return render(request, "agents/console.html", missing, status=404)
