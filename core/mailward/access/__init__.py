"""Mail access: what clients read and change, over the store's interface."""
