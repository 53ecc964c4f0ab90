"""Compiles Kubernetes, Helm, Traefik, kwok and the firewall of kube-router from their Go modules, once per version, and
links them."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from cluster.paths import CACHE, LINKS
from cluster.settings import ACTIONLINT, HELM, KUBERNETES, KWOK, PROMETHEUS_OPERATOR, TRAEFIK
from cluster.shell import StepError, run
from cluster.steps import step

SOURCES = Path(__file__).parent / "programs"
TRAEFIK_MODULE = Path(__file__).parent / "traefik"
FIREWALL_MODULE = Path(__file__).parent / "firewall"
FIREWALL = "kube-router-firewall"
NAMES = (
    "coredns",
    "etcd",
    "hostpath-provisioner",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)


def kubernetes() -> Path:
    """Return the folder with one link per program, compiling what they link to if it is not cached."""
    sources = ("go.mod", "go.sum", "main.go", "provisioner.go")
    folder = CACHE / f"kubernetes-{KUBERNETES}-{_fingerprint(SOURCES, sources)}"
    if not folder.exists():
        with step("compile Kubernetes (minutes; only the first time)"):
            partial = _partial(folder)
            flags = ["-tags", "providerless", "-ldflags", _version_flags(), "-o", str(partial / "kubernetes")]
            _build([*flags, "."], SOURCES, "kubernetes")
            for name in NAMES:
                (partial / name).symlink_to("kubernetes")
            partial.rename(folder)
    return folder


def traefik() -> Path:
    """Return the folder with Traefik, which does not build outside a module that repeats what it replaces."""
    folder = CACHE / f"traefik-{TRAEFIK}-{_fingerprint(TRAEFIK_MODULE, ('go.mod', 'go.sum'))}"
    if not folder.exists():
        with step("compile Traefik (minutes; only the first time)"):
            partial = _partial(folder)
            flags = _link_flags({"github.com/traefik/traefik/v3/pkg/version.Version": TRAEFIK})
            package = "github.com/traefik/traefik/v3/cmd/traefik"
            _build(["-ldflags", flags, "-o", str(partial / "traefik"), package], TRAEFIK_MODULE, "traefik")
            partial.rename(folder)
    return folder


def helm() -> Path:
    """Return the folder with Helm. Unless told which Kubernetes it is for, it checks charts against 1.20."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    package = "helm.sh/helm/v3/pkg/chartutil"
    stamps = {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    return installed("helm.sh/helm/v3/cmd/helm", HELM, stamps)


def installed(package: str, version: str, stamps: Mapping[str, str] | None = None) -> Path:
    """Return the folder with a Go program that builds as it is published, with these values linked in."""
    folder = place(package, version, stamps)
    if not folder.exists():
        name, flags = package.rsplit("/", 1)[-1], _link_flags(stamps or {})
        with step(f"compile {name} (only the first time)"):
            partial = _partial(folder)
            _need_go()
            run(
                ["go", "install", "-trimpath", "-ldflags", flags, f"{package}@{version}"],
                env={"GOBIN": str(partial), "CGO_ENABLED": "0"},
                log=CACHE / "logs" / f"{name}.log",
            )
            partial.rename(folder)
    return folder


def place(package: str, version: str, stamps: Mapping[str, str] | None = None) -> Path:
    """Return where a Go program is once it is installed."""
    name, flags = package.rsplit("/", 1)[-1], _link_flags(stamps or {})
    return CACHE / f"{name}-{version}-{hashlib.sha256(flags.encode()).hexdigest()[:12]}"


def gateway_api() -> Path:
    """Return the folder with the CRDs of the Gateway API, of the version that Traefik was made for."""
    return _module("sigs.k8s.io/gateway-api", TRAEFIK_MODULE) / "config" / "crd" / "standard"


def actionlint() -> Path:
    """Return the folder with actionlint."""
    return installed("github.com/rhysd/actionlint/cmd/actionlint", ACTIONLINT)


def firewall() -> Path:
    """Return the folder with the firewall that enforces NetworkPolicies: kube-router's, without the rest of it."""
    folder = CACHE / f"firewall-{_fingerprint(FIREWALL_MODULE, ('go.mod', 'go.sum', 'main.go'))}"
    if not folder.exists():
        with step("compile the firewall of kube-router (only the first time)"):
            partial = _partial(folder)
            _build(["-ldflags", "-s -w", "-o", str(partial / FIREWALL), "."], FIREWALL_MODULE, FIREWALL)
            partial.rename(folder)
    return folder


def kwok() -> Path:
    """Return the folder with kwok, which plays the nodes and the life of their pods."""
    return installed("sigs.k8s.io/kwok/cmd/kwok", KWOK)


def kwok_stages() -> Path:
    """Return the folder with the stages that kwok itself brings: what becomes of a node and of a pod."""
    return _module(f"sigs.k8s.io/kwok@{KWOK}", CACHE) / "kustomize" / "stage"


def prometheus_operator() -> Path:
    """Return the folder with the CRDs of the Prometheus Operator."""
    module = f"github.com/prometheus-operator/prometheus-operator@{PROMETHEUS_OPERATOR}"
    CACHE.mkdir(parents=True, exist_ok=True)
    return _module(module, CACHE) / "example" / "prometheus-operator-crd"


def built(module: Path, name: str) -> Path:
    """Return a Go program whose source is in this repository, compiled if it is not cached."""
    sources = sorted(path.name for path in module.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    folder = CACHE / f"{name}-{_fingerprint(module, sources)}"
    if not folder.exists():
        with step(f"compile {name} (only the first time)"):
            partial = _partial(folder)
            _build(["-ldflags", "-s -w", "-o", str(partial / name), "."], module, name)
            partial.rename(folder)
    return folder / name


def link(program: Path) -> None:
    """Make a program reachable below .cluster/bin of this checkout."""
    LINKS.mkdir(parents=True, exist_ok=True)
    target = LINKS / program.name
    target.unlink(missing_ok=True)
    target.symlink_to(program)


def _module(name: str, folder: Path) -> Path:
    """The source of a Go module: of the version that the module of the folder requires, unless the name has one."""
    _need_go()
    command = ["go", "mod", "download", "-json", name]
    log = CACHE / "logs" / f"{name.rpartition('/')[2]}.log"
    return Path(json.loads(run(command, cwd=folder, log=log))["Dir"])


def _fingerprint(folder: Path, names: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:12]


def _version_flags() -> str:
    """Without a version kubeadm, the kubelet and Helm's kubeVersion checks misbehave."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "k8s.io/component-base/version.gitVersion": KUBERNETES,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES,
    }
    return _link_flags(values)


def _link_flags(stamps: Mapping[str, str]) -> str:
    return " ".join(("-s -w", *(f"-X {name}={value}" for name, value in stamps.items())))


def _build(arguments: list[str], module: Path, name: str) -> None:
    _need_go()
    log = CACHE / "logs" / f"{name}.log"
    run(["go", "build", "-trimpath", *arguments], cwd=module, env={"CGO_ENABLED": "0"}, log=log)


def _partial(folder: Path) -> Path:
    """Return an empty folder to build in, so that an interrupted build is never taken for a whole one."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _need_go() -> None:
    if not shutil.which("go"):
        raise StepError("go is not installed: install Go 1.25 or newer, then try again")
