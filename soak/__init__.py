"""Faults, injected for real into whole sweeps, and a table of what came of them."""
