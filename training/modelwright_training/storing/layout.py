"""What an artifact is called in a store, and what lies in its folder: the same on a volume and in a bucket."""

from modelwright_training.paths import SIGNATURE

MODEL, REPORT, PROFILE = "model.onnx", "report.json", "profile.json"
# What a run publishes. Anything else in the folder belongs to a person, and keeps it from being deleted.
PUBLISHED = frozenset({MODEL, SIGNATURE, REPORT, "golden.json", PROFILE, "card.md"})
MARK = ".run."
UID_CHARACTERS = 8


def folder_name(digest: str) -> str:
    """The name of the folder of the model with this digest (`sha256:HEX`)."""
    return digest.replace(":", "-")


def uri_in_folder(uri: str, digest: str) -> str:
    """Where the model file with this digest is kept, in a store of folders that is `uri`."""
    return f"{uri.rstrip('/')}/{folder_name(digest)}/{MODEL}"


def tag_name(digest: str) -> str:
    """The tag in a registry of the model with this digest.

    Not `sha256-HEX`: registries keep that name for what refers to the manifest with this digest. They hide such tags,
    and what tidies them up deletes those that have no such manifest."""
    return f"model-{digest.partition(':')[2]}"


def mark_of(namespace: str, training_job: str, run: int, uid: str | None = None) -> str:
    """The name of the file that says that a run has published the artifact. DNS labels hold no dots.

    Clusters may share a store, and have TrainingJobs of one name: the uid keeps their marks apart. Runs of earlier
    releases have none."""
    owner = f"{uid[:UID_CHARACTERS]}." if uid else ""
    return f"{MARK}{namespace}.{training_job}.{owner}{run}"


def is_over(mark: str, namespace: str, training_job: str, last: int, uid: str | None = None) -> bool:
    """Whether a mark is of this very TrainingJob, of its run `last` or an earlier one. A mark without a uid counts for
    any TrainingJob of the name."""
    for owner in {None, uid}:
        number = mark.removeprefix(mark_of(namespace, training_job, 0, owner).removesuffix("0"))
        if number != mark and number.isdecimal():
            return int(number) <= last
    return False
