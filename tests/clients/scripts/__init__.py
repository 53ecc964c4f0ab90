"""Programs for the clients' environments: unittest classes that call our server and compare with ONNX Runtime."""
