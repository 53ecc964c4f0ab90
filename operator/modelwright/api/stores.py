"""Stores: where data and models lie outside the namespace, and with which credentials they are reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelwright.api.base import FILE_URI, ConfigMapKey, Digest, Model, Name, rule, rules

# The keys of a Secret that reach a pod, by the scheme of the uri: the names that the clouds' own tools have.
SECRET_KEYS: dict[str, tuple[str, ...]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "gs": ("key.json",),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
    ),
    "https": ("username", "password", "token"),
    "oci": (".dockerconfigjson", "username", "password"),
}
# Which part of an identity is for which scheme.
IDENTITY_OF = {"s3": "roleArn", "az": "clientId", "gs": "workloadIdentityProvider"}
# Who checks the token, unless the spec says so: the clouds' own defaults.
AUDIENCES = {"roleArn": "sts.amazonaws.com", "clientId": "api://AzureADTokenExchange"}

Text = Annotated[str, Field(min_length=1, max_length=512)]
_HOST = r"://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[-A-Za-z0-9._~/]*)?$"
Url = Annotated[str, Field(pattern=f"^https?{_HOST}", max_length=512)]


class SecretReference(Model):
    """A Secret in the same namespace. The operator does not read it."""

    name: Name = Field(description="Name of the Secret.")


class Identity(Model):
    """A cloud's identity for one container: a token of its ServiceAccount that the cloud exchanges. No Secret."""

    model_config = rules(
        rule(
            "[has(self.roleArn), has(self.clientId), has(self.workloadIdentityProvider)].filter(set, set).size() == 1",
            "set exactly one of roleArn (AWS), clientId (Azure) and workloadIdentityProvider (Google Cloud)",
        ),
        rule("has(self.clientId) == has(self.tenantId)", "clientId and tenantId go together"),
        rule(
            "!has(self.serviceAccount) || has(self.workloadIdentityProvider)",
            "serviceAccount goes with workloadIdentityProvider",
        ),
    )

    audience: Text | None = Field(
        default=None,
        description="Audience of the token. Default: sts.amazonaws.com, api://AzureADTokenExchange, or "
        "https://iam.googleapis.com/ and the workloadIdentityProvider.",
    )
    role_arn: Text | None = Field(default=None, description="AWS: the role to assume.")
    client_id: Text | None = Field(default=None, description="Azure: the client of the managed identity.")
    tenant_id: Text | None = Field(default=None, description="Azure: its tenant.")
    workload_identity_provider: Text | None = Field(
        default=None,
        description="Google Cloud: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER.",
    )
    service_account: Text | None = Field(
        default=None,
        description="Google Cloud: the service account to act as. Default: the pod's own identity.",
    )
    sts_endpoint: Annotated[str, Field(pattern=f"^https{_HOST}", max_length=512)] | None = Field(
        default=None, description="Where the token is exchanged. Default: the cloud's own address."
    )


class Store(Model):
    """How a store is reached. Credentials are files in the containers that need them, and nowhere else."""

    model_config = rules(
        rule("!has(self.secretRef) || !has(self.identity)", "set at most one of secretRef and identity"),
    )

    secret_ref: SecretReference | None = Field(
        default=None,
        description="Secret with credentials. Keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (s3); key.json (gs); "
        "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY and others (az); username and password, or token "
        "(https); .dockerconfigjson, or username and password (oci). docs/stores.md has all.",
    )
    identity: Identity | None = Field(
        default=None, description="An identity of the cloud, instead of a Secret."
    )
    endpoint: Url | None = Field(
        default=None,
        description="Address of a server that speaks the cloud's protocol: https://s3.corp:9000. Default: the cloud.",
    )
    region: Annotated[str, Field(pattern=r"^[-a-z0-9]+$", max_length=64)] | None = Field(
        default=None, description="Region of the bucket. Default: us-east-1."
    )
    ca_config_map_ref: ConfigMapKey | None = Field(
        default=None, description="Certificates (PEM) to trust besides the system's."
    )


def store_rules(field: str, uri: str) -> tuple[dict[str, str], ...]:
    """CEL rules: the store in `field` has what the scheme in `uri` can use, and a uri to be used for."""
    return (
        rule(
            f"!has(self.{field}) || has(self.{uri}) && self.{uri}.matches('^(s3|gs|az|https|oci)://')",
            f"{field} is for s3://, gs://, az://, https:// and oci://; remove it",
        ),
        rule(
            f"!has(self.{field}) || !has(self.{field}.identity) || !has(self.{uri}) || "
            + " || ".join(
                f"self.{uri}.startsWith('{scheme}://') && has(self.{field}.identity.{part})"
                for scheme, part in IDENTITY_OF.items()
            ),
            f"{field}.identity: roleArn is for s3://, clientId for az://, workloadIdentityProvider for gs://",
        ),
        rule(
            f"!has(self.{field}) || !has(self.{field}.endpoint) || !has(self.{uri}) || "
            f"!self.{uri}.startsWith('https://')",
            f"{field}.endpoint is for s3://, gs://, az:// and oci://: an https:// uri names its server; remove it",
        ),
        rule(
            f"!has(self.{field}) || !has(self.{field}.region) || !has(self.{uri}) || "
            f"self.{uri}.startsWith('s3://')",
            f"{field}.region is for s3://; remove it",
        ),
    )


class Artifact(Model):
    """A model file, identified by its digest."""

    model_config = rules(*store_rules("store", "uri"))

    uri: Annotated[str, Field(pattern=FILE_URI, max_length=1024)] = Field(
        description="Where the model file lies: pvc://CLAIM/PATH on a PersistentVolumeClaim of the namespace, "
        "s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://HOST/PATH, or oci://HOST/REPOSITORY:TAG."
    )
    digest: Digest = Field(description="sha256 of the file. Other bytes are never loaded.")
    size: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Size of the file in bytes.")
    store: Store | None = Field(
        default=None,
        description="How the store is reached. Default: as the operator's stores say for the uri.",
    )
