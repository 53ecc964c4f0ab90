"""What `oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]` names."""

import re
from dataclasses import dataclass

from modelwright_stores.failures import StoreError

DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_URI = re.compile(
    r"oci://(?P<host>[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?)"
    r"/(?P<repository>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    rf"(?::(?P<tag>{TAG.pattern}))?(?:@(?P<digest>{DIGEST.pattern}))?"
)
# Docker Hub is the one registry whose API has another name than its images have.
HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
HUB = "registry-1.docker.io"


@dataclass(frozen=True)
class Reference:
    """A repository, and perhaps one manifest in it. `host` is as the uri has it, with a port if that has one."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def shown(self) -> str:
        """The uri without tag and digest."""
        return f"oci://{self.host}/{self.repository}"

    @property
    def manifest(self) -> str:
        """What is asked for: the digest if there is one, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    @property
    def server(self) -> str:
        """The host of the API."""
        return HUB if self.host in HUB_NAMES else self.host

    @property
    def path(self) -> str:
        """The name of the repository at that host: `library/redis` is short for `redis` at Docker Hub only."""
        hub = self.host in HUB_NAMES
        return f"library/{self.repository}" if hub and "/" not in self.repository else self.repository


def parsed(uri: str) -> Reference:
    """The reference that a uri is. UriUnsupported."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise StoreError(
            "UriUnsupported",
            "A uri of a registry is oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:...], the repository in lower case.",
        )
    return Reference(match["host"], match["repository"], match["tag"], match["digest"])
