"""A remote of DVC and its files, written as DVC 3 and 2 write them; tests/clients/test_dvc.py has the real one."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Repository:
    """What is tracked and pushed; `legacy`: by DVC 2."""

    remote: Path
    legacy: bool = False
    outs: list[dict[str, Any]] = field(default_factory=list)

    def add(self, path: str, content: bytes) -> "Repository":
        """Track a file and push it."""
        return self._tracked(path, self.push(content))

    def add_folder(self, path: str, files: dict[str, bytes]) -> "Repository":
        """Track a folder and push its files and its list."""
        listed = [{"md5": self.push(content), "relpath": name} for name, content in sorted(files.items())]
        return self._tracked(path, self.push(json.dumps(listed, sort_keys=True).encode(), ".dir"))

    def push(self, content: bytes, suffix: str = "") -> str:
        """Put an object into the remote; its md5."""
        unix = content.replace(b"\r\n", b"\n") if self.legacy and b"\0" not in content else content
        md5 = hashlib.md5(unix, usedforsecurity=False).hexdigest() + suffix
        path = self.object(md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return md5

    def object(self, md5: str) -> Path:
        """Where the remote has an object."""
        folder = self.remote if self.legacy else self.remote / "files" / "md5"
        return folder / md5[:2] / md5[2:]

    def lock(self, **stages: Any) -> str:
        """The text of dvc.lock: all outs are of the stage `prepare`."""
        return yaml.safe_dump(
            {
                "schema": "2.0",
                "stages": {"prepare": {"cmd": "python prepare.py", "outs": self.outs}, **stages},
            }
        )

    def dvc(self) -> str:
        """The text of a .dvc file, which has the last parts of the paths only."""
        outs = [{**out, "path": out["path"].rpartition("/")[2]} for out in self.outs]
        return yaml.safe_dump({"outs": outs})

    def _tracked(self, path: str, md5: str) -> "Repository":
        kind = {} if self.legacy else {"hash": "md5"}
        self.outs.append({"path": path, "md5": md5, "size": 1, **kind})
        return self
