"""From the first octet of a session to 250."""
