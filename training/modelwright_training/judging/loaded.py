"""A model that is loaded, with how it is given the rows of a data set."""

from dataclasses import dataclass, replace

import pandas as pd

from modelwright_training.documents import Class, Dataset
from modelwright_training.errors import InputError, listing
from modelwright_training.onnxfile import feeding, modelfile, predictions, session
from modelwright_training.onnxfile.modelfile import ModelFile


@dataclass(frozen=True)
class Loaded:
    """A model, and the data set that it is fed with.

    `classes`: in the order of its columns; None of a regressor. `alone`: rows are run one by one, since the rows beside
    a row change its answer."""

    file: ModelFile
    model: session.Model
    feed: feeding.Feeder
    dataset: Dataset
    classes: list[Class] | None
    alone: bool = False

    def predict(self, frame: pd.DataFrame) -> predictions.Predictions:
        """What the model predicts for some rows."""
        return predictions.read(feeding.run(self.model, self.feed, frame), self.classes)

    def row_by_row(self, frame: pd.DataFrame) -> "Loaded":
        """The same, given one row at a time, if the rows beside a row of the frame change its answer."""
        if not feeding.alone(self.model, self.feed, frame):
            return self
        return replace(self, feed=replace(self.feed, batch=1), alone=True)


def load(file: ModelFile, dataset: Dataset) -> Loaded:
    """Load a model file that has been read.

    Raises: InputError for a file that is no model that can be served, and SignatureMismatch for one that does not take
    the columns of the data."""
    modelfile.check(file)
    model = session.load(file)
    return Loaded(
        file, model, feeding.feeder(model, dataset), dataset, predictions.classes_of(model, dataset)
    )


def of_its_classes(loaded: Loaded) -> Loaded:
    """The same for data that need not have a row of each class that the model knows.

    Raises: TargetUnsuitable if the data has one that the model does not know."""
    dataset, known = loaded.dataset, loaded.classes
    if dataset.classes is None or known is None:
        return loaded
    strange = [label for label in dataset.classes if label not in known]
    if strange:
        raise InputError(
            "TargetUnsuitable",
            f"The target {dataset.target.name!r} has classes that the model does not know: "
            f"{listing([str(label) for label in strange], 5)}. Its classes are "
            f"{listing([str(label) for label in known], 10)}.",
        )
    both = dataset.model_copy(
        update={
            "classes": sorted(known),
            "positive_class": dataset.positive_class if len(known) == 2 else None,
        }
    )
    return replace(loaded, dataset=both, feed=replace(loaded.feed, dataset=both))
