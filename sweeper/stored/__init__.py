"""What the commands make of stored results; none of it needs torch or Ray."""
