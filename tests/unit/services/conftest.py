"""Fixtures of the service tests."""

from support.dns_server import dns_server

__all__ = ["dns_server"]
