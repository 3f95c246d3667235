"""IMAP4rev1 over the store: one file a group of commands."""
