"""The keys of a Secret that the operator mounts are those that the library of stores reads."""

from __future__ import annotations

from modelwright.api.stores import SECRET_KEYS
from modelwright_stores.objects import clouds


def test_the_keys_that_are_mounted_are_the_keys_that_are_read() -> None:
    assert {scheme: SECRET_KEYS[scheme] for scheme in clouds.SECRET_KEYS} == dict(clouds.SECRET_KEYS)
    assert set(SECRET_KEYS) - set(clouds.SECRET_KEYS) == {"https", "oci"}
