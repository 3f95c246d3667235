"""Octets to values and back: messages, header fields, addresses, trace fields, IMAP structures. Pure functions (layer 1)."""
