"""Modelwright data plane: an Open Inference Protocol server for one ONNX model."""
