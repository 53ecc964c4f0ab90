"""Kubeconfigs, clusters and terminals as they are found in the wild."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.cli.desk import Desk, Run, kubeconfig, status


def test_status_reads_the_service_and_its_versions_in_the_namespace_of_the_context_and_nothing_else(
    desk: Desk, run: Run
) -> None:
    code, text = run("status", "churn")
    assert code == 0
    assert [path.partition("/namespaces/")[2] for _, path, _ in desk.requests] == [
        "team/inferenceservices/churn",
        "team/modelversions/churn-1",
        "team/modelversions/churn-2",
    ]
    assert "churn-2 answers 10 %" in text


def test_a_namespace_that_is_named_comes_before_the_contexts(desk: Desk, run: Run) -> None:
    run("status", "churn", "-n", "other")
    assert "/namespaces/other/" in desk.requests[0][1]


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((403, status('User "jane" cannot get')), 4, "jane may not get inferenceservices.modelwright.dev"),
        ((404, "404 page not found\n"), 3, "Modelwright is not installed"),
        ((401, status("Unauthorized")), 4, "log in again"),
        ((503, status("etcd")), 4, "cannot answer at present"),
        ((200, "{}"), 1, "cannot be read"),
    ],
)
def test_what_the_api_server_refuses_is_explained(
    desk: Desk, run: Run, answer: tuple[int, str], code: int, said: str
) -> None:
    desk.answers = [("GET", *answer)]
    found, text = run("status", "churn")
    assert found == code
    assert said in text


def test_a_name_that_is_not_there_is_told_with_those_that_are_near(desk: Desk, run: Run) -> None:
    desk.others = ("churn", "fraud")
    assert run("status", "chrun") == (
        3,
        "error: there is no InferenceService chrun in namespace team. Is it churn?\n",
    )


def test_a_cluster_that_does_not_answer_is_told_by_its_address(run: Run, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:9", namespace="team")
    code, text = run("status", "churn", "--kubeconfig", str(path))
    assert code == 4
    assert "the cluster at http://127.0.0.1:9 does not answer" in text
    assert "Connection refused" in text


def test_a_context_that_is_not_there_is_told_with_those_that_are(run: Run) -> None:
    code, text = run("status", "churn", "--context", "nowhere")
    assert code == 4
    assert "has no context nowhere; there are: here" in text


def test_a_context_needs_no_current_one_and_brings_its_namespace(
    desk: Desk, run: Run, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, desk.url, namespace="shop")
    path.write_text(path.read_text().replace("current-context: here", ""))
    assert run("status", "churn", "--kubeconfig", str(path), "--context", "here")[0] == 0
    assert "/namespaces/shop/" in desk.requests[0][1]
    code, text = run("status", "churn", "--kubeconfig", str(path))
    assert code == 4
    assert "names no current context: choose one with --context. There are: here" in text


def test_kubeconfigs_are_merged_and_the_first_word_holds(
    desk: Desk, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, namespace in ((first, "one"), (second, "two")):
        folder.mkdir()
        kubeconfig(folder, desk.url, namespace=namespace)
    monkeypatch.setenv(
        "KUBECONFIG", os.pathsep.join(map(str, (first / "config", "/none", second / "config")))
    )
    assert run("status", "churn")[0] == 0
    assert "/namespaces/one/" in desk.requests[0][1]


def test_a_letter_that_a_terminal_lacks_and_a_reader_who_has_gone_are_no_crash(
    desk: Desk, run: Run, tmp_path: Path
) -> None:
    desk.body["status"]["conditions"][0]["message"] = "\u2026" * 20
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "KUBECONFIG": str(kubeconfig(tmp_path, desk.url))}
    words = [sys.executable, "-m", "modelwright.cli", "rollout", "status", "churn"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "?" * 20 in done.stdout) == (0, True), done.stderr

    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(
        words, env=env, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert (gone.returncode, gone.stderr) == (0, "")


@pytest.mark.parametrize("content", ["", "[1]", "a: [", "apiVersion: v1\nkind: Config\n"])
def test_a_file_that_is_no_kubeconfig_is_told(run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken"
    path.write_text(content)
    code, text = run("status", "churn", "--kubeconfig", str(path))
    assert code == 4
    assert str(path) in text
