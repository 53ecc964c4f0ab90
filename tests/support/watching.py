"""Hears of every change of an object at once, as a controller does, where looking again and again would miss some."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from support.kubectl import Kubectl, Object

PATH = "/apis/modelwright.dev/v1alpha1/namespaces/{namespace}/inferenceservices"


@contextmanager
def watching(kubectl: Kubectl, name: str, heard: Callable[[Object], None]) -> Iterator[None]:
    """Calls `heard`, in a thread, with each state of an InferenceService until the test leaves.

    What goes wrong there fails the test when it leaves.
    """
    path = PATH.format(namespace=kubectl.namespace)
    command = kubectl.command("get", "--raw", f"{path}?watch=1&fieldSelector=metadata.name%3D{name}")
    problems: list[Exception] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                try:
                    heard(json.loads(line)["object"])
                except (AssertionError, OSError) as error:
                    problems.append(error)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield
        finally:
            process.terminate()
            thread.join()
    assert not problems, problems
