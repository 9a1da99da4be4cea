"""Sweeps as batch jobs of a cluster: one file an engine, and a line in `submitting.ENGINES`."""
