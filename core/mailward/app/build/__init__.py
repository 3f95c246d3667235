"""All wiring: which object gets which. One class a worker role, with `start`, `stop` and `reload`, in a module each."""
