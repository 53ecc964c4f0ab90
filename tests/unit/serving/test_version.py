"""The version that the server says without reading package metadata, which would cost a tenth of its start."""

import tomllib
from pathlib import Path

import modelwright_serving

PROJECT = Path(__file__).parents[3] / "serving" / "pyproject.toml"


def test_the_server_says_the_version_of_its_package() -> None:
    assert modelwright_serving.__version__ == tomllib.loads(PROJECT.read_text())["project"]["version"]
