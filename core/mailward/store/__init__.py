"""Mailboxes and their messages, behind a few methods."""
