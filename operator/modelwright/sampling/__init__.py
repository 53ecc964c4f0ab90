"""What no watch can tell: who is asked, how often and within which limits, by one supervised loop."""
