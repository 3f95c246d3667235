"""Fixtures of the plugin tests."""

from support.clamd_server import clamd_server
from support.dns_server import dns_server

__all__ = ["clamd_server", "dns_server"]
