"""Versions of the libraries that make a difference to a model."""

from importlib.metadata import version

TRAINING = ("numpy", "onnx", "scikit-learn", "skl2onnx")
SCORING = ("numpy", "onnx", "onnxruntime", "scikit-learn")


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """The installed version of each library."""
    return {name: version(name) for name in names}
