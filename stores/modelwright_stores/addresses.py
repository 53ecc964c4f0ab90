"""Which addresses may be reached: those of the internet, and the internal ones that an administrator allows.

An address is checked after the name is resolved, and it is the checked address that is connected to. So neither a name
that stands for an internal address nor one that changes in between leads into the cluster."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError

RESOLVING = 10.0
CONNECTING = 10.0
PORTS = {"https": 443, "http": 80}
ALLOW = "An administrator may allow it with the chart's stores.allowedNetworks."

# IANA's registries of special addresses, and multicast. Python's `is_global` differs from release to release.
INTERNAL_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and pods of some clouds
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services beside each machine
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
GLOBAL_6 = IPv6Network("2000::/3")
# Parts of 2000::/3: protocols of the IETF with Teredo, examples, 6to4, examples.
INTERNAL_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
# What clouds have beside each machine: it gives out the machine's own credentials.
BESIDE = (
    IPv4Network("169.254.0.0/16"),
    IPv4Network("168.63.129.16/32"),
    IPv6Network("fe80::/10"),
    IPv6Network("fd00:ec2::/32"),
)
# A network is named for such an address itself if it is no larger than this: 0.0.0.0/0 opens none of them.
NAMED = 16
NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Place:
    """An address of a host, as the system's functions take it."""

    family: socket.AddressFamily
    address: Address
    port: int


def is_internal(address: Address) -> bool:
    """Whether an address is not one of the internet: private, loopback, link-local, multicast, reserved and others."""
    address = _plain(address)
    if isinstance(address, IPv4Address):
        return any(address in network for network in INTERNAL_4)
    return address not in GLOBAL_6 or any(address in network for network in INTERNAL_6)


def is_allowed(address: Address, access: Access) -> bool:
    """Whether an address may be reached: one of the internet, or one in the administrator's networks."""
    forms = {address, _plain(address)}
    named = [network for network in access.networks if any(form in network for form in forms)]
    if any(form in network for form in forms for network in BESIDE):
        return any(_plain(address) in network and network.prefixlen >= NAMED for network in named)
    return not is_internal(address) or bool(named)


def resolved(host: str, port: int, called: str, seconds: float = RESOLVING) -> list[Place]:
    """The addresses of a host, which messages call `called`. StoreUnavailable (passing) if there are none in time."""
    found: list[Place] = []
    done = threading.Event()

    def resolve() -> None:
        try:
            for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append(Place(family, ip_address(address[0]), port))
        except (OSError, ValueError):  # ValueError: a name that cannot be one
            found.clear()
        done.set()

    # The system's resolver takes no limit of time: what is late is left to itself.
    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    if not done.wait(seconds):
        raise StoreError(
            "StoreUnavailable",
            f"The host name of {called} was not resolved within {seconds:g} seconds.",
            passing=True,
        )
    if not found:
        raise StoreError(
            "StoreUnavailable",
            f"The host name of {called} cannot be resolved. Correct it, or make the cluster's DNS know it.",
            passing=True,
        )
    return found


def connected(
    host: str, port: int, access: Access, called: str, seconds: float = CONNECTING
) -> socket.socket:
    """A connection to a host, which messages call `called`, if it has an address that may be reached.

    AddressRefused, StoreUnavailable (passing)."""
    end = time.monotonic() + seconds
    places = resolved(host, port, called, min(seconds, RESOLVING))
    if not _is_trusted(host, port, access):
        places = [place for place in places if is_allowed(place.address, access)]
        if not places:
            raise _refused(called)
    return _first(places, called, min(end, time.monotonic() + CONNECTING))


def check(url: str, access: Access) -> None:
    """Check the addresses of an endpoint that another library connects to: all of them may be reached.

    UriUnsupported, AddressRefused, StoreUnavailable (passing)."""
    host, port = origin(url)
    if _is_trusted(host, port, access):
        return
    if not all(is_allowed(place.address, access) for place in resolved(host, port, host)):
        raise _refused(host)


def origin(url: str) -> tuple[str, int]:
    """The host of an http(s) address, in ASCII, and its port. UriUnsupported."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = "", 0
    if not host:
        raise StoreError("UriUnsupported", "An address has to be https://HOST or https://HOST:PORT.")
    return host, port


def _is_trusted(host: str, port: int, access: Access) -> bool:
    """Whether an administrator chose this very address. A redirect leads away from it."""
    chosen = [access.endpoint, access.identity and access.identity.sts_endpoint]
    return access.trusted and any(origin(url) == (host, port) for url in chosen if url)


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it is such a form."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _refused(called: str) -> StoreError:
    return StoreError(
        "AddressRefused", f"{called} has an internal address, which may not be reached. {ALLOW}"
    )


def _first(places: Sequence[Place], called: str, end: float) -> socket.socket:
    """A connection to the first address that answers, within a part of the time that is left for each."""
    detail = "timed out"
    for count, place in enumerate(places):
        left = end - time.monotonic()
        if left <= 0:
            break
        connection = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(left / min(len(places) - count, 4), 0.1))
            connection.connect((str(place.address), place.port))
        except OSError as error:
            connection.close()
            detail = (
                "timed out" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
            )
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise StoreError("StoreUnavailable", f"{called} cannot be reached: {detail}.", passing=True)
