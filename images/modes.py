"""Makes the files of an image readable for any user: a platform may choose the ids of a container itself."""

from pathlib import Path

READ = 0o444
SEARCH = 0o111


def for_any_user(folder: Path) -> None:
    """Let all read what the folder holds, and run what its owner may run, whatever the umask of this host is."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        may_run = path.is_dir() or mode & 0o100
        wanted = mode | READ | (SEARCH if may_run else 0)
        if wanted != mode:
            path.chmod(wanted)
