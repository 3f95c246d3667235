"""Mailward: a mail server whose every verdict is made by plugins under a policy an admin can read and explain.

The layers, from `cli` down to `model`, and what each may import are kept by the import-linter contracts in
`pyproject.toml`; `CONTRIBUTING.md` shows them as one table.
"""

__version__ = "0.1.0"
