"""A release is pushed to a real registry as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cluster import programs
from cluster.shell import StepError, run
from release.archive import pack
from release.chart import Origin, package, prepare
from release.push import push
from support.stores.registries import registry

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "modelwright"
VERSION = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["version"])


@pytest.fixture
def release(helm: Path, image: Path, tmp_path: Path) -> Path:
    """A release with one small image."""
    folder = tmp_path / "dist" / VERSION
    scratch = tmp_path / "scratch"
    folder.mkdir(parents=True)
    scratch.mkdir()
    name = f"modelwright-operator-{VERSION}.oci.tar"
    pack(image, f"modelwright-operator:{VERSION}", {}, scratch, folder / name)
    prepare(CHART, Origin(VERSION, 0, "", "", ()), scratch / "modelwright")
    package(helm, scratch / "modelwright", 0, scratch, folder / f"modelwright-{VERSION}.tgz")
    return folder


def test_images_and_chart_lie_in_the_registry_by_the_digests_that_are_printed(
    helm: Path, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "helm", lambda: helm.parent)
    with registry(tmp_path) as place:
        image, chart = push(release, f"{place.host}/team", plain_http=True)
        assert image.startswith(f"{place.host}/team/modelwright-operator@sha256:")
        assert place.crane("config", image)
        assert (
            place.crane("digest", f"{place.host}/team/modelwright-operator:{VERSION}").decode().strip()
            in image
        )
        assert chart.startswith(f"{place.host}/team/charts/modelwright@sha256:")
        url = f"oci://{place.host}/team/charts/modelwright"
        run([helm, "pull", url, "--version", VERSION, "--plain-http", "--destination", tmp_path])
    pulled, pushed = tmp_path / f"modelwright-{VERSION}.tgz", release / f"modelwright-{VERSION}.tgz"
    assert pulled.read_bytes() == pushed.read_bytes()


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"run `make release REGISTRY=r\.example` first"):
        list(push(tmp_path, "r.example"))
