"""From the spool to mailboxes and other servers: routes, attempts, reports to senders, releases, an admin's orders."""
