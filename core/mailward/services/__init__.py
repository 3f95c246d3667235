"""What `api.services` promises to plugins: DNS, clock, key-value, log."""
