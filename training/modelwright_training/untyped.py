"""Names for values of libraries that come without types, so that a signature still says what they are."""

from typing import Any

Estimator = Any
"""An estimator of scikit-learn."""

Features = Any
"""What an estimator is fitted on: a float64 matrix or a data frame."""

ArrowTable = Any
ArrowArray = Any
ArrowType = Any
Session = Any
"""An ONNX Runtime session."""
