"""Copies of all that is not to be lost, taken while the server works, and the way back."""
