"""The share of the requests that another revision answers while a rollout runs, and what comes of it."""
