"""Gives tests one bucket in each cloud: real servers of S3 and Azure, and a stub of Google's storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.stores.azurite import Azurite, azurite
from support.stores.gcs import CloudStorage, cloud_storage
from support.stores.s3 import Gateway, gateway
from unit.stores.objects.folders import Mount

from modelwright_stores.objects.bucket import Bucket


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("s3")) as running:
        running.bucket("lake")
        yield running


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azure")) as running:
        running.container("lake")
        yield running


@pytest.fixture(scope="session")
def google() -> Iterator[CloudStorage]:
    with cloud_storage() as running:
        running.bucket("lake")
        yield running


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "store")


@pytest.fixture(params=["s3", "az", "gs"])
def bucket(request: pytest.FixtureRequest, mount: Mount) -> Bucket:
    """A bucket of each cloud, used with the keys that its server takes."""
    scheme = str(request.param)
    name = {"s3": "s3", "az": "azure", "gs": "google"}[scheme]
    server: Gateway | Azurite | CloudStorage = request.getfixturevalue(name)
    return Bucket(f"{scheme}://lake/any", mount.access(server.endpoint, keys_of(server)))


def keys_of(server: Gateway | Azurite | CloudStorage) -> Mapping[str, str]:
    if isinstance(server, Gateway):
        return server.keys.secret_data()
    if isinstance(server, Azurite):
        return server.secret_data()
    return {"key.json": server.service_account()}
