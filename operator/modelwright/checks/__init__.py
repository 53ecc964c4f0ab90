"""The one vocabulary of verdicts, and the statistics behind it. Pure."""
