"""Gives each test a web server over TLS."""

from collections.abc import Iterator

import pytest
from unit.stores.webserver import Certificates, Site


@pytest.fixture(scope="session")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def site(issued: Certificates) -> Iterator[Site]:
    with issued.site() as site:
        yield site
