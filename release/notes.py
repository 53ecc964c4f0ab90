"""Release notes: what was committed since the release before. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# In the chart, and in the notes, whose length is limited where they are shown.
MOST_CHANGES = 30
MOST_SUBJECTS = 200


def files(version: str) -> list[tuple[str, str]]:
    """The names of the files of a release, and what each is."""
    images = {"operator": "the operator", "serving": "the servers", "training": "the training steps"}
    return [
        (f"modelwright-{version}.tgz", "the Helm chart"),
        (
            "install.yaml",
            "what the chart installs by default, with its namespace, for kubectl apply --server-side",
        ),
        ("crds.yaml", "the resource definitions alone"),
        ("images.yaml", "values for the chart that pin the images by digest"),
        ("openshift.yaml", "values for the chart on OpenShift"),
        *(
            (f"modelwright-{name}-{version}.oci.tar", f"image of {of}, an OCI archive")
            for name, of in images.items()
        ),
        *(
            (
                f"modelwright-{name}-{version}.cdx.json",
                f"bill of materials of that image of {of}, CycloneDX 1.6",
            )
            for name, of in images.items()
        ),
        ("RELEASE-NOTES.md", "this text"),
        ("SHA256SUMS", "checksums of all of these"),
    ]


def previous(tags: Sequence[str], version: str) -> str | None:
    """The tag of the release before, of tags with the newest first; None for the first release."""
    others = [tag for tag in tags if tag.startswith("v") and tag != f"v{version}"]
    return others[0] if others else None


def notes(version: str, before: str | None, subjects: Sequence[str], files: Sequence[tuple[str, str]]) -> str:
    """The notes as Markdown: the changes, the newest first, and the files with what each is."""
    since = f"since {before}" if before else "up to the first release"
    lines = [
        f"# Modelwright {version}",
        "",
        "How to install and to verify it: docs/releases.md of the source.",
        "",
    ]
    lines += [f"## Changes {since}", "", *(f"* {subject}" for subject in subjects[:MOST_SUBJECTS])]
    left_out = len(subjects) - MOST_SUBJECTS
    lines += [*([f"* and {left_out} more: `git log`"] if left_out > 0 else []), ""]
    lines += [
        "## Files",
        "",
        "| file | what it is |",
        "|---|---|",
        *(f"| `{name}` | {what} |" for name, what in files),
    ]
    return "\n".join(lines) + "\n"
