"""What is kept outside mailboxes."""

from mailward.quarantine.digests import News, Portion
from mailward.quarantine.held import Held
from mailward.quarantine.quarantine import Quarantine
from mailward.quarantine.users import UsersRelease

__all__ = ["Held", "News", "Portion", "Quarantine", "UsersRelease"]
