"""IMAP4rev1 and IMAP4rev2 over the store: sessions here, what each command does in `commands`."""
