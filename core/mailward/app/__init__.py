"""Layer 8: configuration, wiring and processes."""
