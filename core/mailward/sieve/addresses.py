"""Which parts of which addresses does a test look at? (RFC 5228 sections 2.7.4, 5.1 and 5.4) And may mail be sent to this one?"""

from collections.abc import Iterator

from mailward.formats.address_lists import read_address_list
from mailward.model.address import Address, quote_local_part
from mailward.sieve.arguments import TagRule
from mailward.sieve.running import Run, Step

ADDRESS_PARTS = (
    TagRule("all", "address-part"),
    TagRule("localpart", "address-part"),
    TagRule("domain", "address-part"),
    TagRule("user", "address-part", extension="subaddress"),
    TagRule("detail", "address-part", extension="subaddress"),
)

ADDRESS_FIELDS = frozenset(
    {
        *("from", "to", "cc", "bcc", "sender", "reply-to", "return-path", "errors-to", "return-receipt-to", "delivered-to"),
        *("resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc", "resent-reply-to"),
        *("x-original-to", "x-envelope-to", "envelope-to", "x-envelope-from", "original-recipient", "final-recipient"),
        *("x-beenthere", "x-forwarded-to", "x-forwarded-for", "mail-followup-to", "mail-reply-to", "x-sender", "apparently-to"),
        *("disposition-notification-to", "approved"),
    }
)
"""RFC 5228 section 5.1: an address test is of fields that hold addresses; a slip of the keyboard should not go unseen."""


def addresses_of(value: bytes) -> Iterator[tuple[str, str]]:
    """Local-part and domain of every mailbox in a field, the domain "" where there is none; what is no address is left out."""
    for mailbox in read_address_list(value).mailboxes:
        if mailbox.local_part_octets or mailbox.domain_octets:
            yield _text(mailbox.local_part_octets), _text(mailbox.domain_octets)


def part_of(run: Run, step: Step, local_part: str, domain: str) -> str | None:
    """The part that the test's tag names; None where the address has no such part."""
    use = step.tags.get("address-part")
    name = use.name if use else "all"
    if name == "all":
        return f"{quote_local_part(local_part)}@{domain}" if domain else local_part
    if name == "domain":
        return domain
    if name == "localpart":
        return local_part
    # RFC 5233 section 4: without a separator all of it is the user, and there is no detail.
    user, separator, detail = local_part.partition(run.world.owner.separator)
    if name == "user":
        return user
    return detail if separator else None


def sendable(text: str) -> Address | None:
    """The one address that this is, a display name around it allowed; None where mail cannot be sent to it."""
    try:
        value = text.encode("utf-8")
    except UnicodeEncodeError:
        return None
    if "\r" in text or "\n" in text:
        return None
    read = read_address_list(value)
    return read.mailboxes[0].address if len(read.entries) == 1 and len(read.mailboxes) == 1 and not read.is_malformed else None


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
