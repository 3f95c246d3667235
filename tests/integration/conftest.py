"""Real programs that several of these tests share."""

from support.clamd_server import clamd_server

__all__ = ["clamd_server"]
