"""Names for values of libraries that come without types, so that a signature still says what they are."""

from typing import Any

Estimator = Any
"""An estimator of scikit-learn."""

Features = Any
"""What an estimator is fitted on: a float64 matrix or a data frame."""

ArrowTable = Any
ArrowBatch = Any
ArrowSchema = Any
CsvRow = Any
"""A row of a CSV that has too many or too few cells."""

ArrowArray = Any
ArrowType = Any
Numbers = Any
"""An array of numpy of any type."""

Buffer = Any
"""What a stream reads into."""

Stream = Any
"""A file object that can be read once."""

Session = Any
"""An ONNX Runtime session."""
