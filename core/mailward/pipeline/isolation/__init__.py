"""Plugins in processes of their own (`isolation: process`): the same hooks, and nothing of theirs runs in the server."""
