"""ManageSieve as a machine without I/O (RFC 5804)."""
