"""Sockets, TLS and deadlines; protocols and decisions are elsewhere."""
