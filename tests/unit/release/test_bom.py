"""The bill of materials of an image lists what is installed in it, and is valid CycloneDX."""

from __future__ import annotations

import json
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from release.bom import Package, document, packages

DIGEST = "sha256:" + "0f" * 32
LIBC = Package("pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64", "libc6", "2.36-9+deb12u13")
PYTHON = Package("pkg:pypi/some-package@1.2.3", "Some_Package", "1.2.3", "MIT")


def test_installed_packages_of_debian_and_python_are_found(image: Path) -> None:
    assert packages(image) == [LIBC, PYTHON]


def test_it_is_valid_and_follows_from_its_content() -> None:
    first, second = (
        document("r.example:5000/x:1", DIGEST, [LIBC, PYTHON], "2026-01-01T00:00:00Z") for _ in "12"
    )
    assert first == second
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(first)) is None
    assert first["metadata"]["component"]["purl"] == f"pkg:oci/x@{DIGEST.replace(':', '%3A')}?tag=1"
    assert [each["name"] for each in first["components"]] == ["libc6", "Some_Package"]
    other = document("r.example:5000/x:1", DIGEST, [LIBC], "2026-01-01T00:00:00Z")
    assert other["serialNumber"] != first["serialNumber"]
