"""Decision records: kept, found again, and told what happened later."""

from mailward.decisions.store import DecisionStore

__all__ = ["DecisionStore"]
