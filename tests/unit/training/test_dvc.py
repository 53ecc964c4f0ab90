"""Data that DVC tracks: found by the path in its files, checked by its md5, known by its sha256."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from unit.training.dvc_repository import Repository
from unit.training.pod import Ending, Pod, numbers

from modelwright_training.reading import dvcfile

ROWS = numbers(60)
CSV = ROWS.to_csv(index=False).encode()
MONTHS = {f"2026-{place}.csv": ROWS[place * 20 :][:20].to_csv(index=False).encode() for place in range(3)}


def repository(pod: Pod, *, legacy: bool = False) -> Repository:
    return Repository(pod.paths.source / "remote", legacy)


def fetch(pod: Pod, text: str, path: str, *, name: str = "dvc.lock", **data: Any) -> Ending:
    pod.paths.dvc.mkdir(exist_ok=True)
    (pod.paths.dvc / name).write_text(text)
    pod.given(data={"uri": "pvc://lake/remote", **data})
    return pod.run("fetch", MODELWRIGHT_DVC=json.dumps({"file": f"/dvc/{name}", "path": path}))


def read(pod: Pod) -> list[float]:
    both = pd.concat([pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)])
    return sorted(both["x0"])


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_of_a_stage_is_found_in_the_remote(pod: Pod, *, legacy: bool) -> None:
    tracked = repository(pod, legacy=legacy).add("data/churn.csv", CSV).add("data/other.csv", b"a\n")

    ending = fetch(pod, tracked.lock(), "data/churn.csv")

    md5 = hashlib.md5(CSV, usedforsecurity=False).hexdigest()
    assert ending.result["digest"] == f"sha256:{hashlib.sha256(CSV).hexdigest()}"
    assert ending.result["dvc"] == {"path": "data/churn.csv", "md5": md5} == pod.source_facts["dvc"]
    assert read(pod) == sorted(ROWS["x0"])


@pytest.mark.parametrize("path", ["churn.csv", "data/churn.csv", "./a/data/churn.csv"])
def test_a_dvc_file_names_its_data_with_or_without_the_folder_that_it_lies_in(pod: Pod, path: str) -> None:
    tracked = repository(pod).add("data/churn.csv", CSV)

    assert fetch(pod, tracked.dvc(), path, name="churn.csv.dvc").code == 0


def test_each_item_of_a_foreach_is_a_stage(pod: Pod) -> None:
    eu, us = Repository(pod.paths.source / "remote"), repository(pod)
    eu.add("out-eu.csv", CSV)
    us.add("out-us.csv", MONTHS["2026-0.csv"])
    text = us.lock(**{"prepare@eu": {"cmd": "x", "outs": eu.outs}})

    assert fetch(pod, text, "out-eu.csv").code == 0
    assert read(pod) == sorted(ROWS["x0"])


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("path", ["data/months", "data/months/*.csv", "data/months/2026-[0-2].csv"])
def test_a_folder_is_read_as_one_on_a_claim_is(pod: Pod, path: str, *, legacy: bool) -> None:
    tracked = repository(pod, legacy=legacy).add_folder("data/months", {**MONTHS, "_SUCCESS": b""})
    lines = [f"sha256:{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in MONTHS.items()]
    digest = f"sha256:{hashlib.sha256(''.join(sorted(lines)).encode()).hexdigest()}"

    ending = fetch(pod, tracked.lock(), path, digest=digest)

    assert ending.result["dvc"] == {"path": path, "md5": tracked.outs[0]["md5"]}
    assert read(pod) == sorted(ROWS["x0"])


def test_one_file_of_a_folder_is_one_file(pod: Pod) -> None:
    tracked = repository(pod).add_folder("data", {f"months/{name}": text for name, text in MONTHS.items()})

    ending = fetch(pod, tracked.lock(), "data/months/2026-1.csv")

    content = MONTHS["2026-1.csv"]
    assert ending.result["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert ending.result["dvc"]["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert fetch(pod, tracked.lock(), "data/months").result["rows"] == {"train": 48, "holdout": 12}
    assert "holds folders: 'months'" in fetch(pod, tracked.lock(), "data").message


@pytest.mark.parametrize("rows", [60, 60_000])
def test_windows_line_ends_do_not_count_in_the_md5_of_dvc_2(pod: Pod, rows: int) -> None:
    content = numbers(rows).to_csv(index=False, lineterminator="\r\n").encode()
    tracked = repository(pod, legacy=True).add("churn.csv", content)

    ending = fetch(pod, tracked.lock(), "churn.csv")

    assert ending.result["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert tracked.outs[0]["md5"] != hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_wrong_byte_in_the_remote_is_refused(pod: Pod, *, legacy: bool) -> None:
    tracked = repository(pod, legacy=legacy).add("churn.csv", CSV)
    tracked.object(tracked.outs[0]["md5"]).write_bytes(CSV[:-2] + b"0\n")

    ending = fetch(pod, tracked.lock(), "churn.csv")

    assert (ending.reason, ending.code) == ("DvcDigestMismatch", 65)
    assert "churn.csv" in ending.message
    assert not pod.paths.train_rows.exists()


def test_a_wrong_byte_in_the_list_of_a_folder_is_refused(pod: Pod) -> None:
    tracked = repository(pod).add_folder("data", MONTHS)
    listed = tracked.object(tracked.outs[0]["md5"])
    listed.write_bytes(listed.read_bytes().replace(b"2026-0", b"2026-9"))

    assert fetch(pod, tracked.lock(), "data").reason == "DvcDigestMismatch"


def test_what_was_not_pushed_is_not_found_and_says_so(pod: Pod) -> None:
    tracked = repository(pod).add("churn.csv", CSV)
    tracked.object(tracked.outs[0]["md5"]).unlink()

    ending = fetch(pod, tracked.lock(), "churn.csv")

    assert (ending.reason, ending.code) == ("DataNotFound", 65)
    assert "dvc push" in ending.message


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("data/chrun.csv", "Did you mean 'data/churn.csv'"),
        ("data/months/2026-7.csv", "the folder 'data/months' has no '2026-7.csv'"),
        ("data/raw.csv", "an input of stage 'prepare'"),
        ("churn.csv", "no output 'churn.csv'"),
    ],
)
def test_a_path_that_dvc_does_not_know_is_named_with_those_that_it_knows(
    pod: Pod, path: str, says: str
) -> None:
    tracked = repository(pod).add("data/churn.csv", CSV).add_folder("data/months", MONTHS)
    raw = {"path": "data/raw.csv", "hash": "md5", "md5": "0" * 32}
    text = tracked.lock(prepare={"cmd": "x", "deps": [raw], "outs": tracked.outs})

    ending = fetch(pod, text, path)

    assert (ending.reason, ending.code) == ("DvcPathUnknown", 65)
    assert says in ending.message


def test_a_path_of_two_stages_with_folders_of_their_own_is_not_guessed(pod: Pod) -> None:
    tracked = repository(pod).add("out.csv", CSV).add("out.csv", b"another\n")

    assert "with different content" in fetch(pod, tracked.lock(), "out.csv").message


def test_a_lock_file_that_is_not_there_is_waited_for(pod: Pod) -> None:
    pod.given(data={"uri": "pvc://lake/remote"})
    ending = pod.run("fetch", MODELWRIGHT_DVC='{"file": "/dvc/dvc.lock", "path": "x"}')
    assert (ending.reason, ending.code) == ("DvcFileNotFound", 65)


NESTED = "outs: " + "[" * 10_000
LAUGHS = "a0: &a0 {x: y}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stages:\n  prepare:\n    cmd: x\n    outs: [data]\n", "Is it a dvc.yaml?"),
        ("kind: ConfigMap\n", "neither a dvc.lock"),
        ("[1, 2", "neither a dvc.lock"),
        ("outs: !!python/object/apply:os.system ['true']\n", "neither a dvc.lock"),
        (NESTED, "neither a dvc.lock"),
        (LAUGHS + "outs: []\n", "neither a dvc.lock"),
        ("outs: !!int ''\n", "neither a dvc.lock"),
        ("outs: !!bool x\n", "neither a dvc.lock"),
        ("outs:\n" + "- path: x\n" * 200_000, "neither a dvc.lock"),
        ("outs:\n- {path: x, etag: abc}\n", "does not keep 'x' by its md5"),
        (
            "outs:\n- {path: x, md5: 0123456789abcdef0123456789abcdef, cloud: {r: {etag: a}}}\n",
            "version_aware",
        ),
        ("outs:\n- {md5: 0123456789abcdef0123456789abcdef}\n", "without a path"),
    ],
)
def test_a_file_that_is_not_one_of_dvc_is_refused(pod: Pod, text: str, says: str) -> None:
    ending = fetch(pod, text, "x")
    assert (ending.reason, ending.code) == ("DvcFileInvalid", 65)
    assert says in ending.message


@pytest.mark.parametrize(
    "listed", [b"{}", b"[{}]", b'[{"relpath": "x", "md5": "../../x"}]', b"[" * 100_000, b"\xff"]
)
def test_a_list_of_a_folder_that_is_none_is_refused(pod: Pod, listed: bytes) -> None:
    tracked = repository(pod)
    tracked._tracked("data", tracked.push(listed, ".dir"))
    assert fetch(pod, tracked.lock(), "data").reason in ("DvcFileInvalid", "DvcPathUnknown")


def test_the_size_of_a_list_is_bounded(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvcfile, "MAX_LIST_BYTES", 100)
    tracked = repository(pod).add_folder("data", MONTHS)
    assert fetch(pod, tracked.lock(), "data").reason == "DataTooLarge"


@pytest.mark.parametrize("uri", ["sklearn://iris", "configmap://rows/rows.csv"])
def test_a_source_that_is_no_remote_is_refused(pod: Pod, uri: str) -> None:
    assert fetch(pod, "outs: []\n", "x", uri=uri).reason == "UriUnsupported"


def test_objects_are_read_from_a_remote_at_the_root_of_a_claim(pod: Pod, tmp_path: Path) -> None:
    tracked = Repository(pod.paths.source).add("churn.csv", CSV)
    assert fetch(pod, tracked.lock(), "churn.csv", uri="pvc://lake").code == 0
