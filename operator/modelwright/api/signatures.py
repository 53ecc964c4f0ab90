"""Signatures of model files, in the bundle format of OpenSSF model-signing with a key of one's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelwright.api.base import Model, Name


class SecretKey(Model):
    """One key of a Secret in the same namespace. The operator never reads it: the pod mounts it."""

    name: Name = Field(description="Name of the Secret.")
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)] = Field(
        description="Key in the Secret."
    )


class Signing(Model):
    """How publish signs the model."""

    key_secret_ref: SecretKey = Field(
        description="An elliptic curve private key (PEM). Only the publish step mounts it."
    )


class Verification(Model):
    """Whose signature a model file has to have."""

    key_secret_ref: SecretKey = Field(
        description="The public key (PEM) that belongs to the signature beside the file, model.sig."
    )
