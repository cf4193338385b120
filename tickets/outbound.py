"""Where the house may connect to: one guard for every address that somebody typed in.

An address is checked when it is saved (`check_url`) and again when it is connected to: the
client resolves the name itself, connects to an address that passed, and follows no redirect,
so neither a name that changes its mind nor a server that points elsewhere gets further.
`settings.OUTBOUND_ALLOW` opens private addresses: networks, or `host[:port]`. Link-local and
cloud metadata addresses are never reached.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
from django.conf import settings
from django.core.exceptions import ValidationError

from tickets.outbound_pool import Pool

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

USER_AGENT = "kefu"
_PORTS = {"http": 80, "https": 443}
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "168.63.129.16/32",  # Azure
        "100.100.100.200/32",  # Alibaba Cloud
        "192.0.0.192/32",  # Oracle Cloud
        "255.255.255.255/32",
        "::/128",
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google Cloud
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Exception):
    """This address may not be connected to; the text says which and why."""


@dataclass(frozen=True)
class _Allowed:
    networks: tuple[Network, ...]
    places: frozenset[tuple[str, int | None]]  # (host as written, port or any)

    def has(self, host: str, port: int, address: Address) -> bool:
        names = (host.lower(), str(address))
        places = {(name, at) for name in names for at in (port, None)}
        return bool(places & self.places) or any(address in network for network in self.networks)


@cache
def _allowed(entries: tuple[str, ...]) -> _Allowed:
    networks: list[Network] = []
    places: set[tuple[str, int | None]] = set()
    for entry in filter(None, (entry.strip() for entry in entries)):
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            parts = urlsplit(f"//{entry}")
            places.add(((parts.hostname or "").lower(), parts.port))
    return _Allowed(tuple(networks), frozenset(places))


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries, where it does: it decides where packets go."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64 or 1 < int(address) < 2**32:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def why_refused(host: str, port: int, address: Address) -> str:
    """Why nothing may connect to this address under this name; empty where it may."""
    inner = _innermost(address)
    if inner.is_multicast or any(inner in network for network in _NEVER):
        return f"{host}: {inner} is link-local, metadata or multicast, never reached"
    if inner.is_global or _allowed(tuple(settings.OUTBOUND_ALLOW)).has(host, port, inner):
        return ""
    return f"{host}: {inner} is a private address that OUTBOUND_ALLOW does not name"


def _choose(host: str, port: int, answers: Iterable[Any]) -> list[Address]:
    """Those of getaddrinfo's answers that may be connected to, in its order."""
    addresses = [ipaddress.ip_address(answer[4][0]) for answer in answers]
    good = [address for address in addresses if not why_refused(host, port, address)]
    if addresses and not good:
        raise AddressRefused(why_refused(host, port, addresses[0]))
    return list(dict.fromkeys(good))


def check_url(url: str) -> None:
    """Raise AddressRefused unless this is an http(s) URL of a host that we may connect to.

    A name that cannot be resolved now passes: it is checked again at each connection.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise AddressRefused(f"not a URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise AddressRefused("an address begins with http:// or https:// and names a host")
    if parts.username is not None or any(c <= " " or c == "\\" for c in url):
        raise AddressRefused("an address holds no password, space or backslash")
    try:
        answers = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    _choose(parts.hostname, port, answers)


def validate_url(url: str) -> None:
    """`check_url` for model fields."""
    try:
        check_url(url)
    except AddressRefused as error:
        raise ValidationError(str(error), code="address_refused") from error


def check_host(host: str, port: int) -> None:
    """`check_url` for protocols beside HTTP."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    _choose(host, port, answers)


def is_public(address: str) -> bool:
    """Whether packets to this IP address leave our own network."""
    return _innermost(ipaddress.ip_address(address)).is_global


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection to an address of the host that passed. Raises AddressRefused, OSError."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} cannot be resolved") from error
    failure: OSError = OSError(f"{host} has no address")
    for address in _choose(host, port, answers):
        try:
            return socket.create_connection((str(address), port), timeout_s)
        except OSError as error:
            failure = error
    raise failure


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name, refuses what is not allowed, and connects to exactly what it checked."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._addresses(host, port, timeout):
            try:
                return await self._inner.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, path: str, *args: Any, **kwargs: Any) -> Any:
        raise AddressRefused("a socket file is no address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int, timeout_s: float | None) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        return _choose(host, port, answers)


async def open_socket(host: str, port: int, *, timeout_s: float) -> socket.socket:
    """A TCP connection for a library that speaks its own protocol over it.

    Raises AddressRefused, OSError, TimeoutError.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = ConnectionError(f"{host} has no address")
        for address in _choose(host, port, answers):
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, (str(address), port))
            except BaseException as error:
                connection.close()
                if not isinstance(error, OSError):
                    raise
                failure = error
            else:
                return connection
    raise failure


class _GuardedTransport(httpx.AsyncHTTPTransport):
    def __init__(self) -> None:
        # httpx has no parameter for its pool, nor for the network backend of one.
        ours: Any = Pool(httpx.create_ssl_context(trust_env=False), GuardedBackend())
        self._pool = ours


def async_client() -> httpx.AsyncClient:
    """A client for addresses that somebody typed in; it belongs to one event loop.

    No proxies of the environment, no redirects, no compressed answers (a small body that
    grows without end). Raises AddressRefused from any request, beside httpx's own errors.
    """
    return httpx.AsyncClient(
        transport=_GuardedTransport(),
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    )
