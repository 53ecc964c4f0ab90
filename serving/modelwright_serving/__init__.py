"""Modelwright data plane: an Open Inference Protocol server for one ONNX model."""

__version__ = "0.1.0"
