"""Every HTTP route, from the URL map: what strangers get. A route without a stance fails.

Strangers are: nobody, an agent of another team, and a key without the scope.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import factories
from tickets.models import IdentityLink, Label
from tickets.services import api_keys, contacts

pytestmark = pytest.mark.django_db
WORDS = "只有售后组能看到的话"
METHODS = ("get", "post", "put", "patch", "delete")


class Route(NamedTuple):
    path: str  # as the patterns spell it, joined
    callback: Any


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[Route]:
    for item in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from routes(item.url_patterns, path)
        elif isinstance(item, URLPattern):
            yield Route(path, item.callback)


# What GET answers (nobody, an agent of another team).
PAGES: dict[str, tuple[int, int]] = {
    "": (302, 302),
    "login/": (200, 302),
    "login/verify/": (302, 302),
    "logout/": (405, 405),
    "language/": (302, 302),
    "account/": (302, 200),
    "account/password/": (302, 200),
    "account/two-factor/": (302, 200),
    "account/two-factor/qr.svg": (404, 200),
    "account/two-factor/enable/": (405, 405),
    "account/two-factor/disable/": (302, 405),
    "account/two-factor/codes/": (302, 405),
    "console/": (302, 200),
    "console/c/<number:number>": (302, 404),
    "console/fragments/list/": (302, 200),
    "console/fragments/c/<number:number>/": (302, 404),
    "chat/<slug:inbox_key>/uploads/": (405, 405),
    "hooks/<slug:inbox_key>/": (404, 404),  # a platform's signature says who speaks
    "hooks/<slug:inbox_key>/outbox/": (404, 404),  # a bridge's only
    "widget/v1.js": (200, 200),
    "chat/<slug:inbox_key>/": (200, 200),
    "demo/": (404, 404),
    "files/<str:token>/": (403, 403),
    "api/v1/schema/": (200, 200),
    "api/v1/docs/": (200, 200),
    # Keys only: a session is nobody here.
    "v1/chat/completions": (401, 401),
    "v1/models": (401, 401),
    "v1/models/<str:model>": (401, 401),
    "v1/<path:path>": (401, 401),
    # /healthz, /readyz and /metrics are answered before the map (kefu.health); tests/kefu has them.
}
# Below /api/v1/: what belongs to a team, what is configuration, what asks for a scope only.
OF_A_TEAM = ("conversations", "contacts", "tickets", "events")
CONFIGURATION = ("inboxes", "teams", "api-keys", "agents", "webhooks", "ai")
BY_SCOPE = ("uploads", "labels", "quick-replies")
NOTHING = r"api/v1/^[\s\S]*/$"


def noun(path: str) -> str:
    """The first word below /api/v1/."""
    return re.split(r"[/$(]", path.removeprefix("api/v1/").removeprefix("^"))[0]


def is_api(route: Route) -> bool:
    return route.path.startswith("api/v1/") and route.path not in (*PAGES, NOTHING)


API = [route for route in routes() if is_api(route)]
ADMIN = [route for route in routes() if route.path.startswith("admin/")]
OTHERS = [
    route
    for route in routes()
    if route.path in PAGES or not route.path.startswith(("admin/", "api/v1/"))
]


def methods_of(route: Route) -> list[str]:
    actions = getattr(route.callback, "actions", None)
    if actions:
        return [method for method in METHODS if method in actions]
    cls = getattr(route.callback, "cls", None) or getattr(route.callback, "view_class", None)
    return [method for method in METHODS if hasattr(cls, method)]


CALLS = [(route, method) for route in API for method in methods_of(route)]


def call(client: Client, method: str, url: str) -> HttpResponse:
    if method == "get":
        return client.get(url)
    return getattr(client, method)(url, {}, content_type="application/json")


@pytest.fixture(autouse=True)
def quick_passwords(settings) -> None:
    """Many people are made here, and nobody logs in with a password."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def theirs(team, web_inbox) -> dict[str, str]:
    """Rows of the team 售后, and what to put into a route for them."""
    identity = factories.identity(web_inbox)
    conversation = factories.conversation(identity, text=WORDS)
    contact = identity.contact
    contacts.update(contact, now=factories.NOON, name="陈女士", phone="13800001234")
    other = factories.identity(web_inbox)
    factories.conversation(other, text=WORDS)
    link = contacts.link(
        contact, other.contact, evidence=IdentityLink.Evidence.EMAIL, now=factories.NOON
    )
    label = Label.objects.create(name="退款")
    member = factories.user("zhaoliu", teams=[team])
    key, _token = api_keys.create(name="k", scopes=["read"])
    return {
        "conversations": str(conversation.public_id),
        "contacts": str(contact.public_id),
        "link": str(link.public_id),
        "inboxes": web_inbox.key,
        "teams": team.slug,
        "labels": label.name,
        "api-keys": str(key.public_id),
        "agents": member.username,
        "number": str(conversation.pk),
        "inbox_key": web_inbox.key,
        "token": "forged",
    }


def url_of(route: Route, rows: dict[str, str]) -> str:
    """The route with the ids of those rows in it; an id that nobody has where there is no row."""
    own = rows.get(noun(route.path), "00000000-0000-7000-8000-000000000000")
    path = re.sub(r"\(\?P<link>[^)]*\)", rows["link"], route.path)
    path = re.sub(r"\(\?P<\w+>(?:[^()\\]|\\.)*\)", own, path)
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: rows.get(found[1], "1"), path)
    return "/" + path.replace("^", "").replace("$", "").replace("\\", "")


@pytest.fixture
def stranger() -> Client:
    client = Client()
    client.force_login(factories.user("stranger", teams=[factories.team("other")]))
    return client


def client_with(*scopes: str, **values: Any) -> Client:
    _key, token = api_keys.create(name="test", scopes=scopes, **values)
    return Client(headers={"authorization": f"Bearer {token}"})


def test_every_route_has_a_stance():
    known = {*OF_A_TEAM, *CONFIGURATION, *BY_SCOPE}

    without = [route.path for route in OTHERS if route.path not in PAGES]
    without += [route.path for route in API if noun(route.path) not in known]

    assert without == []
    assert len(API) > 20
    assert len(ADMIN) > 50


def test_pages_give_nobody_and_other_teams_only_what_is_theirs(theirs, stranger):
    wrong = []
    for route in OTHERS:
        url = url_of(route, theirs)
        answers = (Client().get(url), stranger.get(url))
        statuses = tuple(answer.status_code for answer in answers)
        if statuses != PAGES.get(route.path, statuses) or any(map(tells, answers)):
            wrong.append((route.path, statuses))

    assert wrong == []


def test_the_api_says_401_to_nobody_and_to_a_wrong_key(theirs):
    unknown = Client(headers={"authorization": "Bearer kefu_" + "x" * 43})

    assert answers_other_than({401}, CALLS, [Client(), unknown], theirs) == []


def test_a_key_without_the_scope_gets_403(theirs):
    # `ai` opens nothing but asking the AI, `read` changes nothing.
    asking = [(r, m) for r, m in CALLS if noun(r.path) == "ai"]
    rest = [(r, m) for r, m in CALLS if noun(r.path) != "ai"]
    changes = [(r, m) for r, m in CALLS if m != "get"]

    assert answers_other_than({403}, rest, [client_with("ai")], theirs) == []
    assert answers_other_than({403}, asking, [client_with("console")], theirs) == []
    assert answers_other_than({403}, changes, [client_with("read")], theirs) == []


def test_configuration_is_changed_with_the_scope_admin_only(theirs, stranger):
    changes = [
        (r, m)
        for r, m in CALLS
        # messages/ is the generic channel's door, ask/ a question: work, not configuration.
        if noun(r.path) in CONFIGURATION and m != "get" and not re.search("messages|ask", r.path)
    ]
    clients = [client_with("read", "write", "console", "ai"), stranger]

    assert answers_other_than({403}, changes, clients, theirs) == []


def test_what_belongs_to_another_team_does_not_exist(theirs, stranger):
    other_agent = factories.user("key-agent", teams=[factories.team("third")])
    by_key = client_with("read", "write", "console", user=other_agent)
    rows = [(r, m) for r, m in CALLS if noun(r.path) in OF_A_TEAM and "(?P<" in r.path]
    lists = [(r, m) for r, m in CALLS if noun(r.path) in OF_A_TEAM and "(?P<" not in r.path]

    assert answers_other_than({404}, rows, [stranger, by_key], theirs) == []
    assert answers_other_than({200, 201, 400}, lists, [stranger, by_key], theirs) == []


def test_the_administration_is_closed_to_nobody_and_to_agents(theirs, stranger):
    wrong = []
    for route in ADMIN:
        url = url_of(route, theirs).replace("<path:object_id>", "1")
        for client in (Client(), stranger):
            answer = client.get(url)
            open_to_all = route.path in ("admin/login/", "admin/jsi18n/")
            if tells(answer) or not (open_to_all or answer.status_code in (302, 403, 404, 405)):
                wrong.append((url, answer.status_code))

    assert wrong == []


def test_the_team_itself_sees_its_conversation(theirs, agent):
    client = Client()
    client.force_login(agent)

    assert client.get(f"/api/v1/conversations/{theirs['conversations']}/").status_code == 200
    assert client.get(f"/console/c/{theirs['number']}").status_code == 200


def answers_other_than(
    allowed: set[int],
    calls: list[tuple[Route, str]],
    clients: list[Client],
    rows: dict[str, str],
) -> list[tuple[str, str, int]]:
    """What was answered with another status, or with words of the team 售后."""
    answers = [
        (method, route.path, call(client, method, url_of(route, rows)))
        for route, method in calls
        for client in clients
    ]
    return [
        (method, path, answer.status_code)
        for method, path, answer in answers
        if answer.status_code not in allowed or tells(answer)
    ]


def tells(response: HttpResponse) -> bool:
    """Whether it says what only the team may know."""
    streamed = response.streaming_content if response.streaming else [response.content]  # type: ignore[attr-defined]
    text = b"".join(streamed).decode(errors="replace")
    return WORDS in text or "13800001234" in text
