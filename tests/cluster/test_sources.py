"""Data reaches a run from wherever it lies: a claim, a web server with a certificate of its own, a ConfigMap."""

from __future__ import annotations

import hashlib

import pytest
import trustme
from support.kubectl import Kubectl, Object, message
from support.manifests import claim, config_map, image, script_pod, training_job

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

CSV = "age,plan,churned\n" + "".join(f"{20 + n},{'pro' if n % 3 else 'free'},{n % 2}\n" for n in range(80))
DIGEST = f"sha256:{hashlib.sha256(CSV.encode()).hexdigest()}"
WRITE = """
import io, os, pandas
text = os.environ["CSV"]
open("/volume/churn.csv", "w").write(text)
pandas.read_csv(io.StringIO(text)).to_parquet("/volume/churn.parquet")
"""
SERVE = """
import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/files/server.pem")
handler = lambda *given: http.server.SimpleHTTPRequestHandler(*given, directory="/files")
server = http.server.ThreadingHTTPServer(("", 8443), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_csv_and_parquet_are_read_from_a_claim(kubectl: Kubectl) -> None:
    kubectl.apply(claim("lake"), script_pod("write", WRITE, claim_name="lake", env={"CSV": CSV}))
    kubectl.wait("pod", "write", lambda pod: pod["status"]["phase"] == "Succeeded", what="done")

    for form in ("csv", "parquet"):
        kubectl.apply(training_job(form, data={"uri": f"pvc://lake/churn.{form}", "target": "churned"}))
    for form in ("csv", "parquet"):
        done = kubectl.condition("trainingjob", form, "Ready", "True", within=240)
        assert done["status"]["run"]["data"]["trainRows"] == 64


def test_a_web_server_is_trusted_by_the_certificate_that_the_user_names(kubectl: Kubectl) -> None:
    host = f"lake.{kubectl.namespace}.svc"
    authority = trustme.CA()
    server = authority.issue_cert(host).private_key_and_cert_chain_pem.bytes().decode()
    kubectl.apply(
        config_map("files", churn_csv=CSV, server_pem=server),
        config_map("authority", ca_crt=authority.cert_pem.bytes().decode()),
        *web_server("lake"),
    )
    kubectl.run("wait", "--for=condition=Ready", "pod/lake", "--timeout=120s", timeout=150)
    data = {"uri": f"https://{host}:8443/churn.csv", "target": "churned", "digest": DIGEST}
    trusted = {**data, "caConfigMapRef": {"name": "authority", "key": "ca.crt"}}

    kubectl.apply(training_job("trusted", data=trusted), training_job("distrusted", data=data))

    done = kubectl.condition("trainingjob", "trusted", "Ready", "True", within=240)
    assert done["status"]["run"]["data"]["digest"] == DIGEST
    refused = kubectl.condition("trainingjob", "distrusted", "Ready", "False", "CertificateNotTrusted")
    assert "caConfigMapRef" in message(refused)


def web_server(name: str) -> tuple[Object, Object]:
    """A pod that serves the ConfigMap `files` over TLS, and its Service."""
    labels = {"app": name}
    container = {
        "name": "server",
        "image": image("trainingImage"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SERVE],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [{"name": "files", "mountPath": "/files"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "files", "configMap": {"name": "files"}}],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 8443}]},
    }
    return pod, service
