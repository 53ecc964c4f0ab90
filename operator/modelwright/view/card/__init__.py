"""The card of a ModelVersion: what a person or an auditor wants to know of it, from the object alone."""
