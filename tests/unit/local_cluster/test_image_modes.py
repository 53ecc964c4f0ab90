"""Files of the images can be read by any user, as platforms choose ids of containers themselves."""

from __future__ import annotations

from pathlib import Path

from images.modes import for_any_user


def test_what_a_strict_umask_has_made_can_be_read_and_run_by_all(tmp_path: Path) -> None:
    folder = tmp_path / "application"
    program, module = folder / "bin" / "program", folder / "package" / "module.py"
    for path, mode in ((program, 0o700), (module, 0o600)):
        path.parent.mkdir(parents=True)
        path.write_text("x")
        path.chmod(mode)
        path.parent.chmod(0o700)
    folder.chmod(0o700)
    (folder / "link").symlink_to("nowhere")

    for_any_user(folder)

    modes = {
        path.name: oct(path.stat().st_mode & 0o777) for path in (folder, program.parent, program, module)
    }
    assert modes == {"application": "0o755", "bin": "0o755", "program": "0o755", "module.py": "0o644"}
