"""Bundled plugins; each is an ordinary plugin that imports `mailward.api` and nothing else of the core."""
