"""Programs and people who ask the API."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.response import Response
from rest_framework.test import APIClient

from tickets.api import limits
from tickets.services import api_keys

ALL_SCOPES = ("read", "write", "console", "ai", "admin")


class Caller:
    """An API client of one key: `get("contacts/")`, `post("labels/", {"name": "退款"})`."""

    def __init__(self, token: str | None) -> None:
        self.client = APIClient(raise_request_exception=False)
        if token:
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def __call__(self, method: str, path: str, body: Any = None, **headers: Any) -> Response:
        url = path if "://" in path else f"/api/v1/{path}"
        if body is None:
            return self.client.generic(method, url, headers=headers)
        text = json.dumps(body)  # ASCII: also what no UTF-8 can hold
        return self.client.generic(method, url, text, "application/json", headers=headers)

    def get(self, path: str, **headers: Any) -> Response:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: Any) -> Response:
        return self("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any) -> Response:
        return self("PATCH", path, body)

    def delete(self, path: str) -> Response:
        return self("DELETE", path)


@pytest.fixture(autouse=True)
def nobody_was_counted() -> None:
    """Each test begins with its limits unspent."""
    cache.clear()
    limits._redis().flushdb()


@pytest.fixture
def caller(db: None) -> Callable[..., Caller]:
    """Makes a caller with a key of these scopes, for an agent or for all."""

    def make(*scopes: str, agent: User | None = None, **options: Any) -> Caller:
        _, token = api_keys.create(name="test", scopes=scopes, user=agent, **options)
        return Caller(token)

    return make


@pytest.fixture
def api(caller: Callable[..., Caller]) -> Caller:
    """A key of all scopes that acts for nobody."""
    return caller(*ALL_SCOPES, per_minute=1_000_000)


@pytest.fixture
def anonymous() -> Caller:
    return Caller(None)
