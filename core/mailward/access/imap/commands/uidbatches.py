"""UIDBATCHES: ranges of UIDs that hold so many messages each, the newest first (RFC 10022)."""

from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.protocol.imap.arguments import Arguments, BadSyntax

MIN_MESSAGES = 500
"""Of a batch; smaller ones would give away sequence numbers, and make long answers."""


async def uid_batches(session: Session, arguments: Arguments) -> str:
    """UIDBATCHES 2000 tells of all batches, UIDBATCHES 2000 1:10 of the first ten."""
    arguments.space()
    size = arguments.number()
    first, last = 1, 0xFFFFFFFF
    if arguments.take(b" "):
        first = arguments.number()
        arguments.expect(b":")
        last = arguments.number()
    arguments.end()
    if not size or not 0 < first <= last:
        raise BadSyntax("Batches, and messages in them, are counted from 1 upwards")
    if size < MIN_MESSAGES:
        raise No(f"A batch has at least {MIN_MESSAGES} messages", "TOOFEW")
    await session.tell_changes(expunge=True)
    uids = session.mailbox.uids
    # Each begins below the one before it and the last reaches down to 1, so that every UID is in one, whether it is there or not.
    lows = [uids[place] for place in range(len(uids) - size, 0, -size)] + [1] * bool(uids)
    highs = [*uids[-1:], *(low - 1 for low in lows)]
    batches = ",".join(f"{high}:{low}" for high, low in [*zip(highs, lows, strict=False)][first - 1 : last])
    session.untagged(f'UIDBATCHES (TAG "{session.tag.decode("ascii")}") {batches}'.rstrip())
    return ""
