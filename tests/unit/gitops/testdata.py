"""Writes the test data of Argo CD's scripts, and the block for argocd-cm, below docs/gitops/argo-cd.

    PYTHONPATH=tests:. python -m unit.gitops.testdata

They have the form that Argo CD's repository asks for below `resource_customizations`: its tests read them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from support.gitops.tools import ScriptError, Tools
from unit.gitops.states import STATES, excerpt

HERE = Path(__file__).parents[3] / "docs" / "gitops" / "argo-cd"
SCRIPTS = HERE / "modelwright.dev"
CONFIG = HERE / "argocd-cm.yaml"
# For each action, a state in which it makes sense and one in which it does not.
EXAMPLES: dict[str, dict[str, tuple[str, str | None]]] = {
    "InferenceService": {
        "promote": ("progressing_canary", "progressing_canary-starts"),
        "promote-full": ("suspended_awaiting-approval", "healthy_serving"),
        "abort": ("progressing_canary", "healthy_serving"),
        "pause": ("progressing_canary", "suspended_paused-by-request"),
        "resume": ("suspended_paused-by-request", "suspended_paused-by-spec"),
        "retry": ("degraded_rolled-back", "healthy_serving"),
        "undo": ("healthy_version-before-still-runs", "healthy_serving"),
    },
    "TrainingJob": {
        "run": ("degraded_failed", "progressing_running"),
        "suspend": ("healthy_scheduled", None),
        "resume": ("healthy_suspended", None),
    },
}


def health_script(kind: str) -> str:
    """The script that says how an object of a kind is."""
    return (SCRIPTS / kind / "health.lua").read_text()


def discovery(kind: str) -> str:
    """The script that says which actions make sense."""
    return (SCRIPTS / kind / "actions" / "discovery.lua").read_text()


def action(kind: str, name: str) -> str:
    """The script of an action."""
    return (SCRIPTS / kind / "actions" / name / "action.lua").read_text()


def objects() -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the excerpt of an object in each state, by kind and name of the state."""
    return {
        kind: {name: excerpt(kind, make().body) for name, make in states.items()}
        for kind, states in STATES.items()
    }


def documents(tools: Tools) -> Iterator[tuple[Path, str]]:
    """Yields each file with what it has to hold."""
    for kind, found in objects().items():
        folder = SCRIPTS / kind
        for name, body in found.items():
            yield folder / "testdata" / f"{name}.yaml", _text(body)
        yield (
            folder / "health_test.yaml",
            _text({"tests": [_health(tools, kind, n, b) for n, b in found.items()]}),
        )
        if kind in EXAMPLES:
            yield from _actions(tools, kind, found)
    yield CONFIG, _text(config())


def patched(body: Any, patch: Any) -> Any:
    """Returns an object with a merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    before = body if isinstance(body, Mapping) else {}
    left = {key: value for key, value in before.items() if key not in patch}
    changed = {key: patched(before.get(key), value) for key, value in patch.items() if value is not None}
    return {**left, **changed}


def _health(tools: Tools, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    status, message = tools.health(health_script(kind), body)
    return {"healthStatus": {"status": status, "message": message}, "inputPath": f"testdata/{name}.yaml"}


def _actions(tools: Tools, kind: str, found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Path, str]]:
    folder = SCRIPTS / kind / "actions"
    offers: list[dict[str, Any]] = []
    for name, body in found.items():
        offered = sorted(tools.actions(discovery(kind), body).items())
        result = [{"name": each, **parts} for each, parts in offered]
        offers.append({"inputPath": f"../testdata/{name}.yaml", "result": result})
    runs: list[dict[str, Any]] = []
    for name, (good, bad) in EXAMPLES[kind].items():
        body, output = found[good], f"testdata/{good}_{name}.yaml"
        runs.append({"action": name, "inputPath": f"../testdata/{good}.yaml", "expectedOutputPath": output})
        yield folder / output, _text(patched(body, tools.patch(action(kind, name), body)))
        if bad is None:
            continue
        try:
            tools.patch(action(kind, name), found[bad])
        except ScriptError as error:
            refusal = {"inputPath": f"../testdata/{bad}.yaml", "expectedErrorMessage": str(error)}
            runs.append({"action": name, **refusal})
        else:
            raise AssertionError(f"{name} makes no sense in {bad}")
    yield folder / "action_test.yaml", _text({"discoveryTests": offers, "actionTests": runs})


def config() -> dict[str, Any]:
    """Returns the part of the ConfigMap argocd-cm that the scripts are."""
    data: dict[str, str] = {}
    for kind in STATES:
        data[f"resource.customizations.health.modelwright.dev_{kind}"] = health_script(kind)
        if kind in EXAMPLES:
            actions = {
                "discovery.lua": discovery(kind),
                "definitions": [{"name": each, "action.lua": action(kind, each)} for each in EXAMPLES[kind]],
            }
            data[f"resource.customizations.actions.modelwright.dev_{kind}"] = _text(actions)
    return {"data": data}


class _Dumper(yaml.SafeDumper):
    """Writes scripts as blocks, so that people can read them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _as_block)


def _text(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def main() -> None:
    """Writes the files, and removes those that are no more."""
    with Tools() as tools:
        wanted = dict(documents(tools))
    for old in SCRIPTS.glob("**/*.yaml"):
        if old not in wanted:
            old.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
