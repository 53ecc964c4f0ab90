"""The columns that a pipeline sees, made from the features of the data: numbers, categories and texts."""

from dataclasses import dataclass
from typing import Literal

from modelwright_training.documents import Dataset, Feature
from modelwright_training.features.dates import FORMATS


@dataclass(frozen=True)
class Prepared:
    """A column of the pipeline. `name` holds only letters, digits and `_`: the converter changes other names.

    `part` is what of a date it is, such as its year."""

    name: str
    kind: Literal["numeric", "categorical", "text"]
    feature: str
    part: str | None = None


def prepared(dataset: Dataset) -> list[Prepared]:
    """The columns of the pipeline in their order: one for each feature, of a date one for each part."""
    return [column for place, feature in enumerate(dataset.features) for column in columns_of(feature, place)]


def columns_of(feature: Feature, place: int) -> list[Prepared]:
    """The columns of the feature at a place of the data set."""
    name = f"column_{place}"
    if feature.kind == "date":
        parts = FORMATS[feature.format or ""].parts
        return [Prepared(f"{name}_{part}", "numeric", feature.name, part) for part in parts]
    return [Prepared(name, feature.kind, feature.name)]
