"""The three resources as pydantic models: the only source of the CRDs and of what the planners read."""

GROUP = "modelwright.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
