"""What becomes of the pods that kwok plays: its own stages, and what a verified model file reports. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

NODE_STAGES = ("node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml")
POD_STAGES = ("pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml")
# Pods must not wait for kwok: it plays more of them at the same time than by default.
CONFIGURATION = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"podPlayStageParallelism": 16},
}
_TERMINATED = "exitCode: 0\n"


def stages(folder: Path, report: str) -> str:
    """kwok's configuration with the stages of its folder; the containers of a Job end with the report as message."""
    played = (yaml.safe_load((folder / name).read_text()) for name in (*NODE_STAGES, *POD_STAGES))
    documents = (CONFIGURATION, *(_with_report(stage, report) for stage in played))
    return "---\n".join(f"{json.dumps(document)}\n" for document in documents)


def _with_report(stage: dict[str, Any], report: str) -> dict[str, Any]:
    """The stage; the one that completes a pod of a Job with the termination message added."""
    if stage["metadata"]["name"] != "pod-complete":
        return stage
    following = stage["spec"]["next"]
    template: str = following["statusTemplate"]
    before, found, after = template.partition(_TERMINATED)
    if not found:
        raise ValueError("kwok's stage pod-complete does not say with which exit code containers end")
    indent = before[before.rfind("\n") + 1 :]
    # The template is YAML, in which JSON is valid; no part of it may look like an action of the template.
    message = f"message: {json.dumps(report)}\n"
    if "{{" in message:
        raise ValueError("the report would be taken for a part of the template")
    text = f"{before}{found}{indent}{message}{after}"
    return {**stage, "spec": {**stage["spec"], "next": {**following, "statusTemplate": text}}}
