"""How a revision takes over: step by step, in one switch, or not at all."""
