"""Exchanges the token of a pod for credentials of a cloud. The token is read from its file each time: the kubelet
replaces it before it expires."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from modelwright_stores.access import Access, Identity
from modelwright_stores.addresses import origin
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.credentials import Credential
from modelwright_stores.web.connection import Connection, explained

SECONDS = 8.0
MAX_ANSWER = 256 << 10
MAX_TOKEN = 64 << 10
AZURE_LOGIN = "https://login.microsoftonline.com"
# The clouds' own hosts. A token of a pod, or one that a cloud gives for it, opens more than a bucket: it goes to no
# host that the author of a spec could run.
_OWN_EXCHANGES = re.compile(
    r"sts(\.[-a-z0-9]+)?\.amazonaws\.com(\.cn)?|login\.(partner\.)?microsoftonline\.(com|us|cn)|sts\.googleapis\.com"
)
_OWN_STORES = {
    "gs": re.compile(r"(.+\.)?storage\.googleapis\.com|storage[-.a-z0-9]*\.googleapis\.com"),
    "az": re.compile(
        r".+\.blob\.(core\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)|storage\.azure\.net)"
    ),
}

_SESSION = "modelwright"
# What is done with a bucket needs no more. To act as a service account Google asks for the wider one.
_STORAGE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_ACTING_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# What the clouds answer when they refuse a token, and what is to be changed then. Nothing else is said of an answer.
_AWS_CODES = {
    "AccessDenied": "the role's trust policy has to allow sts:AssumeRoleWithWebIdentity for this ServiceAccount",
    "InvalidIdentityToken": "the account needs an OpenID Connect provider with the cluster's issuer",
    "IDPRejectedClaim": "the role's trust policy does not fit the token's audience or subject",
    "ExpiredTokenException": "the token has expired; is the clock of the node right",
    "RegionDisabledException": "STS is not active in this region",
    "ValidationError": "roleArn is not the ARN of a role",
}
_AZURE_CODES = {
    90002: "there is no such tenant",
    700016: "the tenant has no such client",
    70021: "the client has no federated credential for this ServiceAccount",
    700211: "the client has no federated credential for the cluster's issuer",
    700212: "the client has no federated credential for this audience",
    700213: "the client has no federated credential for this ServiceAccount",
    700024: "the token has expired; is the clock of the node right",
    7000215: "the client secret is wrong",
    7000222: "the client secret has expired",
}
_GOOGLE_CODES = {
    "invalid_grant": "the provider does not accept tokens of the cluster's issuer or with this audience",
    "invalid_target": "there is no such workload identity provider",
    "unauthorized_client": "the provider's condition refuses this ServiceAccount",
}


def check(scheme: str, access: Access) -> None:
    """Check that what an identity gives goes to the cloud itself, or where an administrator says so. IdentityRefused.

    AWS gets signatures, so there only the address of the exchange counts."""
    if access.identity is None or access.trusted:
        return
    exchange, store = access.identity.sts_endpoint, access.endpoint if scheme in _OWN_STORES else None
    if exchange and not _is_own(exchange, _OWN_EXCHANGES):
        raise _untrusted(access, f"{access.field}.identity.stsEndpoint", "the token of the pod")
    if store and not _is_own(store, _OWN_STORES[scheme]):
        raise _untrusted(access, f"{access.field}.endpoint", "a token of the cloud")


def aws(access: Access, identity: Identity, region: str) -> Credential:
    """Temporary keys of an AWS role, by AssumeRoleWithWebIdentity. IdentityRefused and failures of connections."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": identity.role_arn or "",
        "RoleSessionName": _SESSION,
        "WebIdentityToken": _token(access),
    }
    url = _base(identity, f"https://sts.{region}.{suffix}") + "/"
    status, body = _post(access, identity, url, _FORM, urlencode(form))
    text = body.decode(errors="replace")
    if status != 200:
        code = _element(text, "Code")
        raise _refused(access, url, f"the role {identity.role_arn}", status, _AWS_CODES.get(code or ""))
    try:
        return {
            "access_key_id": _required(_element(text, "AccessKeyId")),
            "secret_access_key": _required(_element(text, "SecretAccessKey")),
            "token": _required(_element(text, "SessionToken")),
            "expires_at": _moment(_required(_element(text, "Expiration"))),
        }
    except ValueError:
        raise _invalid(url) from None


def azure(access: Access, identity: Identity) -> Credential:
    """A token of a managed identity or an application of Azure. IdentityRefused and failures of connections."""
    form = {"client_assertion_type": _ASSERTION, "client_assertion": _token(access)}

    def refused(url: str, status: int, hint: str | None) -> StoreError:
        return _refused(access, url, f"the client {identity.client_id}", status, hint)

    return _azure(access, identity, identity.tenant_id or "", identity.client_id or "", form, refused)


def azure_client(access: Access, tenant: str, client: str, secret: str) -> Credential:
    """A token for a client secret of Azure. CredentialsRefused, CredentialsExpired and failures of connections."""

    def refused(url: str, status: int, hint: str | None) -> StoreError:
        failure = _refused(access, url, "the client", status, hint)
        if failure.passing:
            return failure
        reason = "CredentialsExpired" if hint == _AZURE_CODES[7000222] else "CredentialsRefused"
        return StoreError(
            reason,
            f"{access.field}.secretRef: {urlsplit(url).netloc} refuses the client of Secret {access.secret}"
            f"{': ' + hint if hint else ''}. Correct AZURE_TENANT_ID, AZURE_CLIENT_ID or AZURE_CLIENT_SECRET.",
        )

    return _azure(access, Identity(), tenant, client, {"client_secret": secret}, refused)


def google(access: Access, identity: Identity) -> Credential:
    """A token of Google Cloud, by the exchange of RFC 8693; of a service account if the identity names one.

    IdentityRefused and failures of connections."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"//iam.googleapis.com/{identity.workload_identity_provider}",
        "scope": _ACTING_SCOPE if identity.service_account else _STORAGE_SCOPE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": _token(access),
    }
    url = _base(identity, "https://sts.googleapis.com") + "/v1/token"
    status, body = _post(access, identity, url, _FORM, urlencode(form))
    answer = _json(body)
    if status != 200:
        called = f"the provider {identity.workload_identity_provider}"
        raise _refused(access, url, called, status, _known(_GOOGLE_CODES, answer.get("error")))
    try:
        token = _required(answer.get("access_token"))
        if identity.service_account is not None:
            return _impersonated(access, identity, token)
        return {"token": token, "expires_at": _after(answer.get("expires_in"))}
    except ValueError:
        raise _invalid(url) from None


def _impersonated(access: Access, identity: Identity, token: str) -> Credential:
    account = quote(identity.service_account or "", safe="@")
    path = f"/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    url = _base(identity, "https://iamcredentials.googleapis.com") + path
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    asked = json.dumps({"scope": [_STORAGE_SCOPE], "lifetime": "3600s"})
    status, body = _post(access, identity, url, headers, asked)
    if status != 200:
        hint = (
            "the ServiceAccount needs roles/iam.workloadIdentityUser on it" if status in (403, 404) else None
        )
        raise _refused(access, url, f"the service account {identity.service_account}", status, hint)
    answer = _json(body)
    return {
        "token": _required(answer.get("accessToken")),
        "expires_at": _moment(_required(answer.get("expireTime"))),
    }


def _azure(
    access: Access,
    identity: Identity,
    tenant: str,
    client: str,
    proof: Mapping[str, str],
    refused: Callable[[str, int, str | None], StoreError],
) -> Credential:
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "scope": "https://storage.azure.com/.default",
        **proof,
    }
    url = f"{_base(identity, AZURE_LOGIN)}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    status, body = _post(access, identity, url, _FORM, urlencode(form))
    answer = _json(body)
    if status != 200:
        codes = answer.get("error_codes")
        hints = [_known(_AZURE_CODES, code) for code in (codes if isinstance(codes, list) else ())]
        raise refused(url, status, next((hint for hint in hints if hint), None))
    try:
        return {
            "token": _required(answer.get("access_token")),
            "expires_at": _after(answer.get("expires_in")),
        }
    except ValueError:
        raise _invalid(url) from None


def _token(access: Access) -> str:
    try:
        with access.token.open("rb") as file:
            token = file.read(MAX_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise StoreError(
            "IdentityRefused",
            f"{access.field}.identity: the pod has no token of its ServiceAccount. Is this container to use the store?",
        )
    return token


def _base(identity: Identity, default: str) -> str:
    return (identity.sts_endpoint or default).rstrip("/")


def _post(
    access: Access, identity: Identity, url: str, headers: Mapping[str, str], body: str
) -> tuple[int, bytes]:
    """The status and the body of the answer. Failures of connections; StoreUnavailable for what may pass."""
    host = urlsplit(url).netloc
    own = identity.sts_endpoint is None
    # The cloud's own service may have a private address; another one only where an administrator says so.
    way = replace(access, endpoint=url, trusted=access.trusted or own)
    with explained(host, access.field):
        connected = Connection(url, way, host, silence=SECONDS)
        connected.deadline = time.monotonic() + SECONDS
        try:
            path = urlsplit(url).path
            connected.request("POST", path, body=body.encode(), headers={**headers, "Accept": "*/*"})
            response = connected.getresponse()
            content = response.read(MAX_ANSWER + 1)
        finally:
            connected.close()
    if response.status == 429 or response.status >= 500:
        raise StoreError("StoreUnavailable", f"{host} is busy (status {response.status}).", passing=True)
    if len(content) > MAX_ANSWER:
        raise _invalid(url)
    return response.status, content


def _is_own(url: str, hosts: re.Pattern[str]) -> bool:
    return url.startswith("https://") and hosts.fullmatch(origin(url)[0].lower()) is not None


def _untrusted(access: Access, named: str, what: str) -> StoreError:
    return StoreError(
        "IdentityRefused",
        f"{access.field}.identity: {named} is no address of the cloud itself, so it does not get {what}. Remove it, or "
        "let an administrator name all addresses of this store in the chart's stores.defaults.",
    )


def _refused(access: Access, url: str, called: str, status: int, hint: str | None) -> StoreError:
    return StoreError(
        "IdentityRefused",
        f"{access.field}.identity: {urlsplit(url).netloc} refuses the token of the pod for {called} (status {status})"
        f"{': ' + hint if hint else ''}. Correct the identity, or what the cloud grants it.",
    )


def _invalid(url: str) -> StoreError:
    host = urlsplit(url).netloc
    return StoreError("StoreAnswerInvalid", f"{host} does not answer as an exchange of tokens does.")


def _element(text: str, name: str) -> str | None:
    """The text of an element of XML that holds no others."""
    found = re.search(rf"<{name}>\s*([!-;=-~]+)\s*</{name}>", text)
    return found and found[1]


def _required(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[!-~]+", value):
        raise ValueError
    return value


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {}


def _known(codes: Mapping[Any, str], code: object) -> str | None:
    return codes.get(code) if isinstance(code, str | int) else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _after(seconds: object) -> datetime:
    """Azure and Google say in how many seconds; some servers as a text."""
    return datetime.now(UTC) + timedelta(seconds=min(float(str(seconds)), 86_400))
