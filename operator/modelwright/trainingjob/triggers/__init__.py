"""What starts a run besides a change of the recipe, what holds it back, and the decision. Pure."""
