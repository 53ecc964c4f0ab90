"""Brings the data of a run, types its columns, checks them and splits the rows."""
