"""Versions, names and addresses of the cluster; every other module takes them from here."""

KUBERNETES = "v1.35.4"
HELM = "v3.20.2"
KIND = "v0.30.0"
TRAEFIK = "v3.6.1"
KWOK = "v0.7.0"
# Of which only the CRDs are used.
PROMETHEUS_OPERATOR = "v0.85.0"
# Checks the workflows of .github, for tests.
ACTIONLINT = "v1.7.12"
# Servers of stores, for tests. The registry's program also pushes releases.
VERSITYGW = "v1.8.0"
CRANE = "v0.22.1"
NODE = "24.19.0"

NAME = "modelwright"
DOMAIN = "cluster.local"

NODE_BRIDGE = "mw-node"
POD_BRIDGE = "mw-pods"
NODE_ADDRESS = "10.245.0.1"
DNS_ADDRESS = "10.245.0.53"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVER = f"https://{NODE_ADDRESS}:6443"

# What a Gateway's listeners may listen on, at the node's address.
GATEWAY_CLASS = "traefik"
GATEWAY_HTTP = 8000

PAUSE_IMAGE = "localhost/modelwright-pause:1"
STORAGE_PROVISIONER = "modelwright.dev/hostpath"
