"""The client's address: who a request comes from, where proxies stand between."""

import functools
from collections.abc import Collection
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

NETWORK_PREFIX = {4: 24, 6: 64}


def client_ip(remote_addr: str, forwarded_for: str, trusted_networks: Collection[str]) -> str:
    """The address of the client, as the nearest hop that we do not run ourselves saw it.

    `remote_addr` is the socket's peer, `forwarded_for` the whole X-Forwarded-For header (""
    where there is none), `trusted_networks` the proxies' addresses or CIDR networks. The
    header is read from its end and only as far as trusted proxies wrote it: what a client put
    in front of that is not believed. "" where the peer has no address (a Unix socket that is
    not trusted; "unix" among the networks trusts it).
    """
    trusted = _networks(tuple(trusted_networks))
    trusts_unix = "unix" in trusted_networks
    here = _address(remote_addr)
    if not (trusts_unix if here is None else _among(here, trusted)):
        return str(here or "")
    for hop in reversed([part for part in forwarded_for.split(",") if part.strip()]):
        there = _address(hop)
        if there is None:  # written by nobody we know: the last good hop stands
            break
        here = there
        if not _among(here, trusted):
            break
    return str(here or "")


def network_of(ip: str) -> str:
    """The /24 (IPv4) or /64 (IPv6) that `ip` lies in, which limits count by; "" for no address."""
    address = _address(ip)
    if address is None:
        return ""
    return str(ip_network(f"{address}/{NETWORK_PREFIX[address.version]}", strict=False))


@functools.lru_cache(4_096)
def _address(text: str) -> Address | None:
    """An address from a header's or socket's spelling: port, brackets and zone are dropped."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _among(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


@functools.cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """ValueError for a network that cannot be read: a wrong setting must not go unseen."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts if text != "unix")
