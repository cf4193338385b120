"""The headers of every answer: pages, errors, files; and what the admin's exception allows."""

import re

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client

from tests import factories
from tests.security.test_every_route import OTHERS, theirs, url_of  # noqa: F401

pytestmark = pytest.mark.django_db


def policy_of(response) -> dict[str, list[str]]:
    parts = (part.split() for part in response["Content-Security-Policy"].split(";"))
    return {words[0]: words[1:] for words in parts}


def assert_strict(response) -> None:
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"]
    assert "camera=()" in response["Permissions-Policy"]
    policy = policy_of(response)
    assert policy["object-src"] == ["'none'"]
    assert policy["base-uri"] in (["'self'"], ["'none'"])
    scripts = policy.get("script-src", policy["default-src"])
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "data:"} & set(scripts)


def test_every_page_carries_the_headers(theirs, agent):  # noqa: F811
    client = Client()
    client.force_login(agent)
    for route in OTHERS:
        for visitor in (client, Client()):
            assert_strict(visitor.get(url_of(route, theirs)))


@pytest.mark.parametrize(
    "path", ["/no/such/page", "/chat/no-such-inbox/", "/api/v1/nothing/", "/console/c/0"]
)
def test_error_pages_carry_them_too(agent, client, path):
    client.force_login(agent)

    response = client.get(path)

    assert response.status_code == 404
    assert_strict(response)


def test_so_does_an_error_of_ours(client, monkeypatch):
    monkeypatch.setattr("kefu.accounts.views.LogIn.get", lambda *_: 1 / 0)
    client.raise_request_exception = False

    response = client.get("/login/")

    assert response.status_code == 500
    assert_strict(response)


def test_files_carry_them(client):
    assert finders.find("css/base.css")

    response = client.get("/static/css/base.css")

    assert response.status_code == 200
    assert_strict(response)


@pytest.mark.parametrize("path", ["/console/", "/login/", "/account/", "/admin/login/"])
def test_staff_pages_may_not_be_framed(agent, client, path):
    client.force_login(agent)

    response = client.get(path)

    assert response["X-Frame-Options"] == "DENY"
    assert policy_of(response)["frame-ancestors"] == ["'none'"]


def test_the_admin_may_evaluate_its_attributes_and_nothing_else_more():
    client = Client()
    client.force_login(factories.user(role="admin"))

    policy = policy_of(client.get("/admin/"))

    assert policy["script-src"] == ["'self'", "'unsafe-eval'"]
    assert policy["style-src-attr"] == ["'unsafe-inline'"]
    assert policy["default-src"] == ["'self'"]
    assert "style-src" not in policy


@pytest.mark.parametrize("path", ["/admin/", "/admin/tickets/inbox/add/", "/account/", "/console/"])
def test_no_page_has_an_inline_script_style_or_handler(path):
    client = Client()
    client.force_login(factories.user(role="admin"))

    page = client.get(path).content.decode()

    assert re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/(?:ld\+)?json)[^>]*>", page) == []
    assert re.findall(r"<style\b", page) == []
    assert re.findall(r"\son(?:click|load|error|submit|change|input)=", page) == []
    assert re.findall(r"(?:src|href)=[\"'](?:https?:)?//(?!testserver|127\.0\.0\.1)", page) == []


def test_cookies_are_secure_where_the_site_is():
    # One expression decides both: PUBLIC_URL says https.
    assert settings.PUBLIC_URL.startswith("https://") == settings.SESSION_COOKIE_SECURE
    assert settings.CSRF_COOKIE_SECURE == settings.SESSION_COOKIE_SECURE
    assert settings.SESSION_COOKIE_HTTPONLY
