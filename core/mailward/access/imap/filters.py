"""Which of the mailboxes that can be reached does a filter mean (RFC 5465 section 6, RFC 7377 section 2.2)?"""

from collections.abc import Collection

from mailward.access.imap.reach import Reach, Reached, is_of_others
from mailward.protocol.imap.filters import MailboxFilter
from mailward.store.names import parents


def fits(filter: MailboxFilter, reached: Reached) -> bool:
    """Not for the selected mailbox, which the session knows. Mail may be delivered to any of our mailboxes, so all are inboxes
    (RFC 5465 section 6.3)."""
    info = reached.info
    match filter.kind:
        case "subscribed":
            return info.subscribed
        case "mailboxes":
            return info.name in filter.names
        case "subtree":
            return not filter.names.isdisjoint((info.name, *parents(info.name)))
        case "subtree-one":
            return not filter.names.isdisjoint((info.name, *parents(info.name)[-1:]))
        case "selected" | "selected-delayed":
            return False
        case _:
            return reached.is_own


def may_be_of_others(filters: Collection[MailboxFilter], reach: Reach) -> bool:
    """Whether a mailbox that others share could be among them. Blocks."""
    if any(is_of_others(name) for filter in filters for name in filter.names):
        return True
    return any(filter.kind == "subscribed" for filter in filters) and any(map(is_of_others, reach.own.subscriptions()))
