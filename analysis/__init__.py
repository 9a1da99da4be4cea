"""Stored rows as DataFrames in; frontiers, tables and pictures out."""
