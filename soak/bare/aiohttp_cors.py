"""Stands before the real one, so that Ray starts as where it is installed without extras."""

raise ImportError("Ray's dashboard is left out here")
