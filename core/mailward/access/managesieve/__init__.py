"""ManageSieve: sessions over the scripts in the message store."""
