"""State machines without I/O: octets in, events and octets out."""
