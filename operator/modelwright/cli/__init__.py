"""The command `modelwright`, for people who run rollouts. A client of the API server, not part of the operator."""
