"""The columns that a pipeline sees, made from the features of the data: numbers, categories and texts."""

from dataclasses import dataclass
from typing import Literal

from modelwright_training.documents import Dataset


@dataclass(frozen=True)
class Prepared:
    """A column of the pipeline. `name` holds only letters, digits and `_`: the converter changes other names."""

    name: str
    kind: Literal["numeric", "categorical", "text"]
    feature: str


def prepared(dataset: Dataset) -> list[Prepared]:
    """The columns of the pipeline in their order: one for each feature."""
    return [
        Prepared(f"column_{place}", "numeric" if feature.kind == "date" else feature.kind, feature.name)
        for place, feature in enumerate(dataset.features)
    ]
