"""TrainingJob: starts a run when the spec changes and follows it to a ModelVersion or to a failure."""
