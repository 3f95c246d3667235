"""IMAP4rev1 (RFC 3501) as octets: commands in, values out; nothing here knows a store or a socket."""
