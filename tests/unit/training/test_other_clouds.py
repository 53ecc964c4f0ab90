"""Folders of Azure Blob Storage and Google Cloud Storage are read as those of S3 are; test_buckets has the rest."""

import hashlib
from pathlib import Path

import pytest
from unit.training.outside import Place, place
from unit.training.pod import Pod, numbers

from modelwright_stores.access import accesses
from modelwright_stores.objects.bucket import Bucket

ROWS = numbers(60)
MONTHS = {f"2026-{part}.csv": ROWS[part * 20 :][:20].to_csv(index=False).encode() for part in range(3)}


def put(store: Place, pod: Pod, files: dict[str, bytes]) -> None:
    access = accesses(store.environ(pod, "data"), pod.root)["data"]
    bucket = Bucket(store.uri, access)
    for key, content in files.items():
        bucket.put(key, content)


@pytest.mark.parametrize("cloud", ["az", "gs"])
def test_a_folder_a_pattern_and_a_file_are_read(pod: Pod, tmp_path: Path, cloud: str) -> None:
    with place(cloud, tmp_path / "cloud") as store:
        put(
            store, pod, {f"rows/{name}": content for name, content in MONTHS.items()} | {"rows/_SUCCESS": b""}
        )
        environ = store.environ(pod, "data")

        for path, rows in (("rows", 60), ("rows/2026-[12].csv", 40), ("rows/2026-0.csv", 20)):
            ending = pod.given(data={"uri": f"{cloud}://models/{path}"}).run("fetch", **environ)
            assert sum(ending.result["rows"].values()) == rows, path
        assert ending.result["digest"] == f"sha256:{hashlib.sha256(MONTHS['2026-0.csv']).hexdigest()}"

        put(store, pod, {"rows/2025/x.csv": b"x\n"})
        ending = pod.given(data={"uri": f"{cloud}://models/rows"}).run("fetch", **environ)
        assert "holds folders: '2025'" in ending.message
