"""Where hooks are called, and nowhere else."""
