"""No way into our own network: not by a number, a name, a redirect, or a name that changes."""

import socket
from typing import Any

import httpx
import pytest

from tests.fakes.openai_server import FakeOpenAI, respond
from tickets import outbound

PRIVATE = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://localhost/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://100.64.0.1/",
    "http://[fd00::1]/",
]
NEVER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    "http://[::ffff:169.254.169.254]/",
]
NO_ADDRESS = [
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "http://",
    "//example.com",
    "http://user:pass@example.com/",
    "http://exa mple.com/",
    "http://example.com:99999/",
    "http://127.0.0.1\\@example.com/",
    "",
]


@pytest.mark.parametrize("url", [*PRIVATE, *NEVER, *NO_ADDRESS])
def test_it_may_not_be_saved(url: str) -> None:
    with pytest.raises(outbound.AddressRefused):
        outbound.check_url(url)


@pytest.mark.parametrize("url", [*PRIVATE, *NEVER])
async def test_it_may_not_be_connected_to(url: str) -> None:
    async with outbound.async_client() as client:
        with pytest.raises((outbound.AddressRefused, httpx.InvalidURL)):
            await client.get(url)


@pytest.mark.parametrize("url", NEVER)
def test_metadata_stays_closed_whatever_is_allowed(url: str, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["0.0.0.0/0", "::/0", "169.254.169.254", "169.254.0.0/16"]

    with pytest.raises(outbound.AddressRefused):
        outbound.check_url(url)


@pytest.mark.parametrize(
    ("allow", "url", "allowed"),
    [
        ("10.0.0.0/8", "http://10.1.2.3:8000/", True),
        ("10.0.0.0/8", "http://192.168.1.1/", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/v1", True),
        ("127.0.0.1:8080", "http://127.0.0.1:9090/v1", False),
        ("localhost:11434", "http://localhost:11434/v1", True),
        ("localhost", "http://localhost:1/", True),
        ("[::1]:80", "http://[::1]/", True),
        ("", "http://8.8.8.8/", True),
    ],
)
def test_private_addresses_are_opened_one_by_one(
    allow: str, url: str, allowed: bool, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = [allow]
    try:
        outbound.check_url(url)
    except outbound.AddressRefused:
        assert not allowed
    else:
        assert allowed


async def test_a_name_that_changes_its_mind_is_refused_at_the_connection(
    server: FakeOpenAI, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS is the one part that a test cannot have for real."""
    settings.OUTBOUND_ALLOW = []
    answers = iter(["93.184.216.34"])

    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), server.port))
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    outbound.check_url(f"http://rebind.example:{server.port}/")

    async with outbound.async_client() as client:
        with pytest.raises(outbound.AddressRefused):
            await client.get(f"http://rebind.example:{server.port}/")

    assert server.requests == []


async def test_a_redirect_is_not_followed(server: FakeOpenAI) -> None:
    server.will(respond(b"", 302, "text/plain", "Location: http://169.254.169.254/"))

    async with outbound.async_client() as client:
        response = await client.post(server.base_url, json={})

    assert response.status_code == 302
    assert len(server.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with outbound.async_client() as client:
        assert isinstance(await client.post(server.base_url, json={}), httpx.Response)
