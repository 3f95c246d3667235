"""From the spool to the mailbox."""
