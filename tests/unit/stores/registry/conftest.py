"""A real registry, a front before it, and access to both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from support.stores.certificates import Certificates, certificates
from support.stores.registries import Front, Registry, front, registry

from modelwright_stores.access import Access
from modelwright_stores.registry.repository import Repository

LOOPBACK = (ip_network("127.0.0.0/8"),)
Given = Callable[..., Access]


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry on plain HTTP; each test takes repositories of its own."""
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1", "localhost")


@pytest.fixture
def before(real: Registry, tls: Certificates) -> Iterator[Front]:
    """What asks for passwords or tokens, redirects and fails, before the registry."""
    with front(real, tls) as running:
        yield running


@pytest.fixture
def access(tmp_path: Path, tls: Certificates) -> Given:
    """Access to servers on loopback, with a Secret of these keys."""

    def given(secret: Mapping[str, str] | None = None, endpoint: str | None = None) -> Access:
        folder = tmp_path / "store"
        (folder / "secret").mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_text(tls.authority)
        for key, value in (secret or {}).items():
            (folder / "secret" / key).write_text(value)
        name = None if secret is None else "lake"
        authority = "ca.crt of ConfigMap corp-ca"
        return Access(folder, "data.store", name, endpoint=endpoint, authority=authority, networks=LOOPBACK)

    return given


@pytest.fixture
def plain(real: Registry, access: Given, request: pytest.FixtureRequest) -> Repository:
    """A repository of this test alone, on plain HTTP."""
    return Repository(f"oci://{real.host}/{repository(request)}", access(endpoint=real.endpoint))


def repository(request: pytest.FixtureRequest) -> str:
    """The name of a repository for one test."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")
    return f"tests/{'-'.join(part for part in name.split('-') if part)}"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return repository(request)
