"""People other than the administrator: kubectl as a user of some groups, and the roles that the groups have."""

from __future__ import annotations

import json
from dataclasses import dataclass

from support.kubectl import Kubectl, KubectlError, Object


@dataclass(frozen=True)
class Person(Kubectl):
    """kubectl as this user. The administrator impersonates: to the API server it is the user who asks."""

    user: str = "alice"
    groups: tuple[str, ...] = ()

    def command(self, *words: str) -> list[str]:
        groups = [f"--as-group={group}" for group in (*self.groups, "system:authenticated")]
        return [*super().command(*words), f"--as={self.user}", *groups]

    def json_patch(self, kind: str, name: str, *operations: Object) -> None:
        """A JSON patch (RFC 6902)."""
        self.run("patch", kind, name, "--type=json", "-p", json.dumps(operations))

    def refused(self, *words: str, given: str | None = None) -> str:
        """Runs what has to be refused; what the API server said."""
        try:
            self.run(*words, given=given)
        except KubectlError as error:
            return str(error)
        raise AssertionError(f"{self.user} could: {' '.join(words)}")


def role(name: str, cluster_role: str, group: str) -> Object:
    """Gives a group a ClusterRole in a namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    }
