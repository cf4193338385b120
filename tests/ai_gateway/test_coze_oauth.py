"""Coze by a service identity: a signed JWT for a token that all share."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ai_gateway.errors import ErrorKind
from ai_gateway.protocol import Prompt
from tests.ai_gateway.asking import answer_of, backend_at, failure_of
from tests.fakes.coze_server import FakeCoze, say
from tickets import access_tokens

APP, KEY_ID = "1122334455", "fingerprint-1"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = _KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PUBLIC = (
    _KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.fixture(autouse=True)
def nothing_is_known(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    access_tokens.forget_all()
    redis.Redis.from_url(settings.REDIS_URL).flushdb()


@pytest.fixture
def coze() -> Iterator[FakeCoze]:
    with FakeCoze() as server:
        server.trust(APP, KEY_ID, PUBLIC)
        server.will(say("好的。"))
        yield server


def at(server: FakeCoze, key: str = PRIVATE, **values: Any) -> AbstractAsyncContextManager[Any]:
    options = {"bot_id": "7390", "oauth_app_id": APP, "oauth_key_id": KEY_ID, **values}
    return backend_at("coze", server.base_url, key, **options)


def another_process() -> None:
    """It knows of tokens only what Redis tells it."""
    access_tokens.forget_all()


async def test_a_jwt_is_changed_for_a_token_and_the_token_used_again(coze: FakeCoze) -> None:
    async with at(coze) as backend:
        for _ in range(3):
            assert (await answer_of(backend, Prompt("在吗")))[0].text == "好的。"

    (claims,) = coze.claims
    assert (claims["iss"], claims["aud"]) == (APP, "127.0.0.1")
    assert 0 < claims["exp"] - claims["iat"] <= 3600
    sent = [r.headers["authorization"] for r in coze.requests if r.path == "/v3/chat"]
    assert sent == [f"Bearer {coze.tokens[0]}"] * 3


async def test_many_calls_fetch_one_token_and_other_processes_share_it(coze: FakeCoze) -> None:
    async with at(coze) as backend:
        await asyncio.gather(*(answer_of(backend, Prompt("在吗")) for _ in range(20)))
    another_process()
    async with at(coze) as backend:
        await answer_of(backend, Prompt("在吗"))

    assert len(coze.tokens) == 1


async def test_in_redis_it_lies_encrypted_and_ends_with_itself(
    coze: FakeCoze, settings: Any
) -> None:
    async with at(coze) as backend:
        await answer_of(backend, Prompt("在吗"))

    store = redis.Redis.from_url(settings.REDIS_URL)
    (key,) = store.keys("kefu:access-token:*")
    assert coze.tokens[0].encode() not in store.get(key)
    assert 800 < store.ttl(key) <= 900


async def test_it_is_renewed_before_its_end_without_anybody_waiting(coze: FakeCoze) -> None:
    coze.lives_s = 30  # less than EARLY_S: renewed with each call
    async with at(coze) as backend:
        await answer_of(backend, Prompt("一"))
        await answer_of(backend, Prompt("二"))
        until = time.monotonic() + 3
        while len(coze.tokens) < 2 and time.monotonic() < until:
            await asyncio.sleep(0.02)

    assert len(coze.tokens) == 2
    sent = [r.headers["authorization"] for r in coze.requests if r.path == "/v3/chat"]
    assert sent[:2] == [f"Bearer {coze.tokens[0]}"] * 2


async def test_a_refused_token_is_fetched_anew_once(coze: FakeCoze) -> None:
    async with at(coze) as backend:
        await answer_of(backend, Prompt("在吗"))
        coze.token = "czs_withdrawn"
        answer, _told = await answer_of(backend, Prompt("还在吗"))

    assert (answer.text, len(coze.tokens)) == ("好的。", 2)


async def test_without_redis_each_process_has_its_own(coze: FakeCoze, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    async with at(coze) as backend:
        for _ in range(2):
            assert (await answer_of(backend, Prompt("在吗")))[0].text == "好的。"

    assert len(coze.tokens) == 1


@pytest.mark.parametrize(
    "key", [PRIVATE.replace("\n", ""), PRIVATE.replace("\n", "\\n"), f"  {PRIVATE}\n"]
)
async def test_a_key_that_lost_its_line_ends_is_understood(coze: FakeCoze, key: str) -> None:
    async with at(coze, key) as backend:
        assert (await answer_of(backend, Prompt("在吗")))[0].text == "好的。"


@pytest.mark.parametrize(
    ("values", "kind", "code"),
    [
        ({"key": "pat_0123456789"}, ErrorKind.AUTH, "bad_private_key"),
        ({"key": PUBLIC}, ErrorKind.AUTH, "bad_private_key"),
        ({"oauth_app_id": "another"}, ErrorKind.AUTH, "invalid_client"),
        ({"oauth_audience": "api.coze.com"}, ErrorKind.AUTH, "invalid_client"),
    ],
)
async def test_what_is_wrong_with_the_identity_is_told(
    coze: FakeCoze, values: dict[str, Any], kind: ErrorKind, code: str
) -> None:
    async with at(coze, **values) as backend:
        error = await failure_of(backend, Prompt("在吗"))

    assert (error.kind, error.code) == (kind, code)
    assert "PRIVATE" not in str(error)
    assert error.kind.fallback


async def test_half_an_identity_is_not_configured(coze: FakeCoze) -> None:
    from ai_gateway.errors import EndpointError

    with pytest.raises(EndpointError, match="oauth_key_id") as caught:
        async with at(coze, oauth_key_id=""):
            pass

    assert caught.value.kind == ErrorKind.NOT_CONFIGURED
