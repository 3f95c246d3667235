"""Policy YAML becomes one verdict per recipient: load and check once, then judge without I/O (layer 3)."""

from mailward.policy.ruling import Outcome, RecipientFacts, Ruling, combine

__all__ = ["Outcome", "RecipientFacts", "Ruling", "combine"]
