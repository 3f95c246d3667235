"""What is kept outside mailboxes."""

from mailward.quarantine.quarantine import Held, Quarantine

__all__ = ["Held", "Quarantine"]
