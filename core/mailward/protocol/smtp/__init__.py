"""The SMTP server side as a machine (RFC 5321)."""
