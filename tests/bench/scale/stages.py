"""What becomes of the pods that kwok plays: its own stages, and what a verified model file reports. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

NODE_STAGES = ("node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml")
POD_STAGES = ("pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml")
_TERMINATED = "exitCode: 0\n"


def stages(folder: Path, report: str) -> str:
    """The stages of kwok's folder as one YAML text; the containers of a Job end with the report as their message."""
    return "---\n".join(
        json.dumps(_with_report(yaml.safe_load((folder / name).read_text()), report)) + "\n"
        for name in (*NODE_STAGES, *POD_STAGES)
    )


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
