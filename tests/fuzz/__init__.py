"""Feeds the server millions of mutated inputs in one process, and says which of them it does not handle as it should.

`make fuzz`; a layer is a part of the server with what may be fed to it and what has to hold then.
"""
