"""The keys of an account of S3."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """An access key and its secret; temporary ones have a token."""

    access: str
    secret: str
    token: str | None = None

    def secret_data(self) -> dict[str, str]:
        """What a Kubernetes Secret of them holds."""
        token = {"AWS_SESSION_TOKEN": self.token} if self.token else {}
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret, **token}
