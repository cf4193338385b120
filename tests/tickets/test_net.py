"""Who a request comes from: only our own proxies are believed."""

import pytest

from tickets.net import client_ip, network_of

PROXIES = ["10.0.0.0/8", "2001:db8:1::/48"]


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "1.2.3.4", "203.0.113.7"),  # not a proxy of ours: not believed
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),  # the client wrote the first itself
        ("10.0.0.1", "1.2.3.4, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, rubbish", "10.0.0.1"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "203.0.113.7:5123", "203.0.113.7"),
        ("2001:db8:1::5", "[2001:db8:2::1]:443", "2001:db8:2::1"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("", "203.0.113.7", ""),
    ],
)
def test_the_clients_address_is_what_the_nearest_foreign_hop_was_seen_as(peer, header, expected):
    assert client_ip(peer, header, PROXIES) == expected


def test_a_unix_socket_is_a_proxy_only_where_the_setting_says_so():
    assert client_ip("", "203.0.113.7", ["unix"]) == "203.0.113.7"


def test_a_network_that_cannot_be_read_is_an_error():
    with pytest.raises(ValueError, match=r"10\.0\.0\.300"):
        client_ip("10.0.0.1", "", ["10.0.0.300"])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("", ""),
    ],
)
def test_limits_count_by_the_network_of_an_office_or_a_household(address, network):
    assert network_of(address) == network
