"""Mail we have answered for, until each recipient is served."""
