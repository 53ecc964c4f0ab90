"""The data sets that come with scikit-learn, as CSV files; downloads nothing.

The target's column is called `target` and holds what scikit-learn holds: numbers, also for classes."""

from pathlib import Path

from modelwright_training.errors import InputError, listing, storage, suggestion

NAMES = ["breast_cancer", "diabetes", "digits", "iris", "wine"]


def write(name: str, folder: Path) -> Path:
    """Write the data set `name` into `folder`; the same bytes for the same version of scikit-learn."""
    check(name)
    from sklearn import datasets  # noqa: PLC0415 (takes a second; other sources do not need it)

    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    path = folder / f"{name}.csv"
    with storage("Writing the data"):
        path.write_text(frame.to_csv(index=False, lineterminator="\n"))
    return path


def check(name: str) -> None:
    """Check that there is a data set of this name. UriUnsupported."""
    if name == "linnerud":
        raise InputError(
            "UriUnsupported", "sklearn://linnerud has three targets; a model here predicts one. Use another."
        )
    if name not in NAMES:
        known = f"{suggestion(name, NAMES)} Bundled are {listing(NAMES)}."
        raise InputError("UriUnsupported", f"scikit-learn brings no data set {name!r}.{known}")
