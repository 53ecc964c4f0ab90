"""Registries of the OCI distribution specification: models as ModelPack artifacts, and files in layers of images."""
