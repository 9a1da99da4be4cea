"""Sweeps of training objectives: from an experiment file to a frontier of NLL against MI."""
