"""What is wrong with a store is named within seconds, each with its own reason; once it is mended, the run goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import config_map, secret, training_job
from support.stores.certificates import certificates
from support.stores.faults import Fault, Proxy, proxy
from support.stores.node import HOST, MARKS
from support.stores.s3 import Gateway, gateway
from support.stores.trainer import CSV

pytestmark = MARKS

# On a machine that has nothing else to do.
SECONDS = 10
RIGHT_KEYS = {"AWS_ACCESS_KEY_ID": "…", "AWS_SECRET_ACCESS_KEY": "…"}
ALL = 10_000


@dataclass(frozen=True)
class Place:
    """An S3 server without TLS, behind a proxy, and one with TLS over the same kind of folder."""

    server: Gateway
    front: Proxy
    private: Gateway
    authority: str


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a store, and what the TrainingJob says of it.

    `secret`: the keys of its Secret; `…` stands for the right value, None for no Secret. `fault`: what the server
    answers to a read of its object."""

    name: str
    reason: str
    says: tuple[str, ...]
    secret: dict[str, str] | None = field(default_factory=lambda: dict(RIGHT_KEYS))
    uri: str = "s3://lake/NAME.csv"
    store: dict[str, Any] = field(default_factory=dict)
    private: bool = False
    fault: tuple[int, str] | None = None
    mended: bool = False


OTHER_KEY = {"AWS_ACCESS_KEY_ID": "…", "AWS_SECRET_ACCESS_KEY": "of-another-account"}
HALF = {"AWS_ACCESS_KEY_ID": "…"}
AUTHORITY = {"caConfigMapRef": {"name": "no-config-map", "key": "ca.crt"}}
INSIDE = {"endpoint": "http://10.244.0.1:9000"}
TROUBLES = [
    Trouble(
        "wrong-key",
        "CredentialsRefused",
        ("Secret wrong-key", "AWS_SECRET_ACCESS_KEY"),
        secret=OTHER_KEY,
        mended=True,
    ),
    Trouble(
        "no-secret", "SecretNotFound", ("data.store.secretRef", "AWS_ACCESS_KEY_ID"), secret=None, mended=True
    ),
    Trouble("half-a-secret", "SecretIncomplete", ("half-a-secret", "AWS_SECRET_ACCESS_KEY"), secret=HALF),
    Trouble(
        "no-bucket",
        "BucketNotFound",
        ("no bucket no-bucket", "data.store.endpoint"),
        uri="s3://no-bucket/NAME.csv",
        mended=True,
    ),
    Trouble("no-object", "DataNotFound", ("s3://lake/elsewhere.csv",), uri="s3://lake/elsewhere.csv"),
    Trouble("no-authority", "CertificateNotTrusted", ("caConfigMapRef",), private=True),
    Trouble(
        "no-config-map",
        "CertificatesNotFound",
        ("no-config-map",),
        private=True,
        store=AUTHORITY,
        mended=True,
    ),
    Trouble("no-credentials", "NoCredentials", ("secretRef",), store={"secretRef": None}),
    Trouble("inside", "AddressRefused", ("allowedNetworks",), store=INSIDE),
    Trouble("no-right", "AccessDenied", ("s3://lake",), fault=(403, "AccessDenied")),
    Trouble("old-token", "CredentialsExpired", ("old-token",), fault=(400, "ExpiredToken")),
    Trouble("clock", "ClockSkewed", ("clock",), fault=(403, "RequestTimeTooSkewed")),
    Trouble("region", "WrongRegion", ("region",), fault=(301, "PermanentRedirect")),
]
# So many runs are under way while a test waits for the first of them.
AHEAD = 2


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    tls = certificates(folder / "tls", HOST)
    with (
        gateway(folder / "open", HOST) as server,
        proxy(server, HOST) as front,
        gateway(folder / "private", HOST, tls) as private,
    ):
        for trouble in TROUBLES:
            for each in (server, private):
                each.put("lake", f"{trouble.name}.csv", CSV.encode())
            if trouble.fault is not None:
                status, code = trouble.fault
                headers = {"x-amz-bucket-region": "eu-central-1"} if status == 301 else {}
                front.inject(Fault("*", trouble.name, ALL, status, code, headers))
        yield Place(server, front, private, tls.authority)


@pytest.fixture(scope="module")
def under_way() -> set[str]:
    """The names of the troubles that were applied."""
    return set()


def keys(place: Place, trouble: Trouble) -> dict[str, str]:
    """The right keys for a trouble's server."""
    return (place.private if trouble.private else place.server).keys.secret_data()


def manifests(place: Place, trouble: Trouble) -> list[Object]:
    """The TrainingJob of a trouble, and its Secret if it has one."""
    endpoint = place.private.endpoint if trouble.private else place.front.endpoint
    store = {"secretRef": {"name": trouble.name}, "endpoint": endpoint, **trouble.store}
    job = training_job(
        trouble.name,
        data={
            "uri": trouble.uri.replace("NAME", trouble.name),
            "target": "churned",
            "store": {name: value for name, value in store.items() if value is not None},
        },
    )
    if trouble.secret is None:
        return [job]
    right = keys(place, trouble)
    given = {name: right[name] if value == "…" else value for name, value in trouble.secret.items()}
    return [secret(trouble.name, given), job]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_each_trouble_has_a_reason_and_a_remedy_within_seconds(
    shared: Kubectl, place: Place, trouble: Trouble, under_way: set[str]
) -> None:
    first = TROUBLES.index(trouble)
    for each in TROUBLES[first : first + AHEAD]:
        if each.name not in under_way:
            shared.apply(*manifests(place, each))
            under_way.add(each.name)

    begun = began(shared, trouble.name)
    refused = shared.condition("trainingjob", trouble.name, "Ready", "False", trouble.reason, within=120)

    for word in trouble.says:
        assert word in message(refused)
    for secret_text in keys(place, trouble).values():
        assert secret_text not in str(refused)
    ready = condition(refused, "Ready")
    assert ready is not None
    assert (moment(ready["lastTransitionTime"]) - begun).total_seconds() <= SECONDS * busy()
    stalled = condition(refused, "Stalled")
    assert stalled is None or stalled["status"] == "False"
    if not trouble.mended:
        shared.delete("trainingjob", trouble.name)


def busy() -> float:
    """How many processes share a core, at least one: what takes a second alone takes as many seconds."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def began(kubectl: Kubectl, name: str) -> datetime:
    """When the first `fetch` of a TrainingJob began."""

    def holds(found: Object) -> bool:
        return any(starts(kubectl, name))

    kubectl.wait("trainingjob", name, holds, within=120, what="fetching")
    return min(starts(kubectl, name))


def starts(kubectl: Kubectl, name: str) -> list[datetime]:
    """When each `fetch` of a TrainingJob began."""
    return [
        moment(each["startedAt"])
        for pod in kubectl.all("pod", f"modelwright.dev/training-job={name}")
        for status in pod.get("status", {}).get("initContainerStatuses") or ()
        for each in (status.get("state") or {}).values()
        if status["name"] == "fetch" and "startedAt" in each
    ]


def moment(text: str) -> datetime:
    """A time of Kubernetes."""
    return datetime.fromisoformat(text)


def test_runs_go_on_when_what_is_outside_the_spec_is_mended(
    shared: Kubectl, place: Place, under_way: set[str]
) -> None:
    wanted = [trouble for trouble in TROUBLES if trouble.mended]
    for trouble in wanted:
        if trouble.name not in under_way:
            shared.apply(*manifests(place, trouble))
    generations = {
        trouble.name: shared.get("trainingjob", trouble.name)["metadata"]["generation"] for trouble in wanted
    }

    place.server.put("no-bucket", "no-bucket.csv", CSV.encode())
    shared.apply(
        config_map("no-config-map", ca_crt=place.authority),
        *(secret(trouble.name, keys(place, trouble)) for trouble in wanted),
    )

    for trouble in wanted:
        done = shared.condition("trainingjob", trouble.name, "Ready", "True", within=300)
        assert done["metadata"]["generation"] == generations[trouble.name]
        assert done["status"]["run"]["number"] == 1
