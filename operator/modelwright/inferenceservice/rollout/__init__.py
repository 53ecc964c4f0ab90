"""The rollout of a revision: starting it, its steps, promotion and rollback."""
