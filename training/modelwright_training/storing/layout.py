"""What an artifact is called in a store, and what lies in its folder: the same on a volume and in a bucket."""

from modelwright_training.paths import SIGNATURE

MODEL, REPORT = "model.onnx", "report.json"
# What a run publishes. Anything else in the folder belongs to a person, and keeps it from being deleted.
PUBLISHED = frozenset({MODEL, SIGNATURE, REPORT, "golden.json", "card.md"})
MARK = ".run."


def folder_name(digest: str) -> str:
    """The name of the folder, or of the tag, of the model with this digest (`sha256:HEX`)."""
    return digest.replace(":", "-")


def mark_of(namespace: str, training_job: str, run: int) -> str:
    """The name of the file that says that a run has published the artifact. DNS labels hold no dots."""
    return f"{MARK}{namespace}.{training_job}.{run}"
