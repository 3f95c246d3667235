"""Fixtures of the corpus tests."""

from support.clamd_server import clamd_server

__all__ = ["clamd_server"]
