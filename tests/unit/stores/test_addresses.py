"""Which addresses are internal, and that none of them is reached unless an administrator allows it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.stores.webserver import Certificates, Site, to

from modelwright_stores import addresses
from modelwright_stores.access import Access, Identity
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Patience, patiently
from modelwright_stores.web.file import WebFile

BARE = Access(Path("/nowhere"), "data.store")
INTERNAL = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
]
OUTSIDE = ["1.1.1.1", "52.216.0.1", "172.32.0.1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2606:4700::1111"]

Resolver = Callable[..., list[Any]]


def names(*found: str) -> Resolver:
    """A resolver that says the same of each name."""

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in found
        ]

    return resolve


@pytest.mark.parametrize("text", INTERNAL)
def test_an_internal_address_is_one(text: str) -> None:
    assert addresses.is_internal(ip_address(text))
    assert not addresses.is_allowed(ip_address(text), BARE)


@pytest.mark.parametrize("text", OUTSIDE)
def test_an_address_of_the_internet_is_none(text: str) -> None:
    assert not addresses.is_internal(ip_address(text))


@given(st.ip_addresses())
def test_what_python_calls_no_global_address_is_internal(address: Any) -> None:
    plain = getattr(address, "ipv4_mapped", None) or address
    if not plain.is_global and address not in ip_network("64:ff9b::/96"):
        assert addresses.is_internal(address)


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_an_administrator_allows_a_network(text: str) -> None:
    access = Access(Path("/nowhere"), networks=(ip_network("10.0.0.0/8"),))
    assert addresses.is_allowed(ip_address(text), access)
    assert not addresses.is_allowed(ip_address("192.168.1.1"), access)


@pytest.mark.parametrize(
    ("address", "wide", "own"),
    [
        ("169.254.169.254", "0.0.0.0/0", "169.254.169.254/32"),
        ("168.63.129.16", "168.0.0.0/8", "168.63.129.16/32"),
        ("fe80::1", "fe80::/10", "fe80::1/128"),
        ("fd00:ec2::254", "fd00::/8", "fd00:ec2::254/128"),
        ("::ffff:169.254.169.254", "::/0", "169.254.0.0/16"),
        ("64:ff9b::a9fe:a9fe", "64:ff9b::/96", "169.254.0.0/16"),
    ],
)
def test_a_wide_network_does_not_open_what_gives_out_credentials_of_machines(
    address: str, wide: str, own: str
) -> None:
    for network, opened in ((wide, False), (own, True)):
        access = Access(Path("/nowhere"), networks=(ip_network(network),))
        assert addresses.is_allowed(ip_address(address), access) is opened


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_a_host_that_stands_for_this_machine_is_refused(host: str) -> None:
    with pytest.raises(StoreError) as refused:
        addresses.check(f"https://{host}:9000", BARE)
    assert refused.value.reason == "AddressRefused"
    assert "stores.allowedNetworks" in refused.value.message


def test_an_endpoint_that_an_administrator_chose_is_not_checked() -> None:
    endpoint = "https://127.0.0.1:9000"
    chosen = Access(
        Path("/nowhere"), endpoint=endpoint, trusted=True, identity=Identity(sts_endpoint="https://[::1]")
    )
    addresses.check(endpoint, chosen)
    addresses.check("https://[::1]:443/", chosen)
    with pytest.raises(StoreError):
        addresses.check("https://127.0.0.1:9001", chosen)
    with pytest.raises(StoreError):
        addresses.check(endpoint, Access(Path("/nowhere"), endpoint=endpoint))


def test_an_endpoint_with_one_internal_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", names("1.1.1.1", "10.0.0.1"))
    with pytest.raises(StoreError) as refused:
        addresses.check("https://s3.example", BARE)
    assert refused.value.reason == "AddressRefused"


def test_only_the_checked_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, site: Site, issued: Certificates
) -> None:
    # The second address would be reached if the name were resolved again.
    monkeypatch.setattr(socket, "getaddrinfo", names("10.255.255.1", "127.0.0.1"))
    site.content = b"a,b\n"
    connection = addresses.connected("lake.example", site.server_address[1], issued.access(), "the lake")
    with connection:
        assert connection.getpeername()[0] == "127.0.0.1"


def test_a_name_that_stands_for_an_internal_address_gets_no_byte(
    monkeypatch: pytest.MonkeyPatch, site: Site, issued: Certificates
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", names("127.0.0.1"))
    file = WebFile(f"https://lake.example:{site.server_address[1]}/x", issued.access(networks=()))
    with pytest.raises(StoreError) as refused:
        file.head()
    assert (refused.value.reason, refused.value.passing) == ("AddressRefused", False)
    assert not site.requests


def test_a_redirect_to_an_internal_address_is_refused(site: Site, issued: Certificates) -> None:
    site.answers["/moved"] = to("https://169.254.169.254/latest/meta-data/")
    with pytest.raises(StoreError) as refused:
        WebFile(f"{site.url}/moved", issued.access()).head()
    assert refused.value.reason == "AddressRefused"
    assert "169.254" not in refused.value.message


def test_a_name_that_does_not_exist_may_pass() -> None:
    with pytest.raises(StoreError) as refused:
        addresses.check("https://no-such-host.invalid", BARE)
    assert (refused.value.reason, refused.value.passing) == ("StoreUnavailable", True)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    late = threading.Event()

    def hang(*_: object, **__: object) -> list[Any]:
        late.wait(1)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = time.monotonic()
    with pytest.raises(StoreError) as refused:
        addresses.connected("lake.example", 443, BARE, "the lake", seconds=0.2)
    assert (refused.value.reason, refused.value.passing) == ("StoreUnavailable", True)
    assert time.monotonic() - before < 0.9
    late.set()


def test_an_address_that_never_answers_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # A socket whose queue of connections is full answers nothing on this host.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(place)
        access = Access(Path("/nowhere"), networks=(ip_network("127.0.0.0/8"),))
        before = time.monotonic()
        with pytest.raises(StoreError) as refused:
            addresses.connected("127.0.0.1", place[1], access, "the lake", seconds=0.3)
        for one in waiting:
            one.close()
    assert refused.value.message == "the lake cannot be reached: timed out."
    assert time.monotonic() - before < 2


@pytest.mark.parametrize("url", ["ftp://host", "https://", "https://host:99999", "https://a..b", "host"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        addresses.origin(url)
    assert refused.value.reason == "UriUnsupported"


def test_what_sends_for_long_and_fails_late_is_asked_again() -> None:
    asked = list[float]()

    def ask() -> int:
        asked.append(time.monotonic())
        if len(asked) > 1:
            return len(asked)
        time.sleep(0.6)
        raise StoreError("StoreUnavailable", "late", passing=True)

    assert patiently(ask, "it", Patience(silent=0.5, sends=True)) == 2


def test_asking_patiently_ends_with_the_last_failure() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise StoreError("StoreUnavailable", "busy", passing=len(asked) < 3)

    with pytest.raises(StoreError):
        patiently(ask, "the lake", Patience(silent=60))
    assert len(asked) == 3
