"""The command `modelwright`, for people who run rollouts: a client of the API server, and no part of the operator."""
