"""POP3 as a machine without I/O (RFC 1939)."""
