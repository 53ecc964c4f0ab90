"""AWS Signature Version 4, as a server checks it and as a proxy writes it again."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

from support.stores.keys import Keys

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>\w+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


def signed(
    method: str, target: str, headers: Mapping[str, str], keys: Keys, region: str, service: str = "s3"
) -> dict[str, str]:
    """The headers of a request with a signature of these keys; `host` must be among them."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    lower.pop("authorization", None)
    lower["x-amz-date"] = now
    lower.setdefault("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    names = sorted(name for name in lower if name == "host" or name.startswith("x-amz-"))
    signature = _signature(method, target, lower, names, keys.secret, (now[:8], region, service))
    scope = f"{keys.access}/{now[:8]}/{region}/{service}/aws4_request"
    lower["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return lower


def claimed_access(headers: Mapping[str, str]) -> str | None:
    """The access key that a request says it is signed with."""
    found = AUTHORIZATION.match(_lower(headers).get("authorization", ""))
    return found["access"] if found else None


def is_signed_by(method: str, target: str, headers: Mapping[str, str], keys: Keys) -> bool:
    """Whether a request is signed with these keys."""
    lower = _lower(headers)
    found = AUTHORIZATION.match(lower.get("authorization", ""))
    if found is None or found["access"] != keys.access:
        return False
    scope = found["day"], found["region"], found["service"]
    expected = _signature(method, target, lower, found["names"].split(";"), keys.secret, scope)
    return hmac.compare_digest(expected, found["signature"])


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in headers.items()}


def _signature(
    method: str,
    target: str,
    headers: Mapping[str, str],
    names: list[str],
    secret: str,
    scope: tuple[str, str, str],
) -> str:
    path, _, query = target.partition("?")
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(query, True)
    )
    canonical = "\n".join(
        (
            method,
            quote(unquote(path), safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{headers.get(name, '')}" for name in names),
            "",
            ";".join(names),
            headers["x-amz-content-sha256"],
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join((*scope, "aws4_request")), digest))
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
