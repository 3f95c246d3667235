"""LMTP and PRDR: whatever recipients come and however the octets are cut, replies and recipients stay in step (RFC 2033 section 4.2)."""

from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.smtp.states import Limits
from support.smtp_machine import Client, machine

LIMITS = Limits(message_octets=1000, excess_octets=100_000, errors=10_000, junk_commands=10_000)
RCPT = {"pat": "250", "nobody": "550", "no": "250", "later": "250"}
FATES = {"pat": "250", "no": "554", "later": "451"}
CONTENTS = {b"EACH\r\n": None, b"REJECT\r\n": "554", b"plain\r\n": "250", b"x\r\n" * 400: "552"}

names = st.lists(st.sampled_from(sorted(RCPT)), min_size=1, max_size=6)
contents = st.sampled_from(sorted(CONTENTS))


def _sent(content: bytes, chunks: list[int] | None) -> tuple[bytes, int]:
    """The message by DATA, or in chunks of these sizes and a last one; and how many replies stand before those of the message."""
    if chunks is None:
        return b"DATA\r\n" + content + b".\r\n", 1
    octets, place, count = b"", 0, 0
    for size in chunks:
        if place + size < len(content):
            octets += b"BDAT %d\r\n%b" % (size, content[place : place + size])
            place, count = place + size, count + 1
    return octets + b"BDAT %d LAST\r\n%b" % (len(content) - place, content[place:]), count


@given(names, contents, st.none() | st.lists(st.integers(1, 900), max_size=3), st.booleans(), st.booleans())
def test_each_recipient_that_was_taken_gets_one_reply(
    recipients: list[str], content: bytes, chunks: list[int] | None, is_lmtp: bool, octet_by_octet: bool
) -> None:
    client = Client(machine("lmtp" if is_lmtp else "mx", LIMITS))
    client.send(b"LHLO c\r\n" if is_lmtp else b"EHLO c\r\n")
    client.replies.clear()
    envelope = b"MAIL FROM:<>\r\n" if is_lmtp else b"MAIL FROM:<> PRDR\r\n"
    envelope += b"".join(b"RCPT TO:<%b@example.org>\r\n" % name.encode() for name in recipients)
    message, before = _sent(content, chunks)
    taken = [name for name in recipients if name != "nobody"]
    # DATA ends a group: what comes behind it has to wait for its reply.
    head, data, tail = message.partition(b"DATA\r\n") if chunks is None else (message, b"", b"")
    client.send(envelope + head + data, octet_by_octet=octet_by_octet)
    if taken:
        client.send(tail, octet_by_octet=octet_by_octet)
    codes = [line[:3] for line in client.replies]
    assert codes[: 1 + len(recipients)] == ["250", *(RCPT[name] for name in recipients)]
    rest = codes[1 + len(recipients) :]
    if not taken:
        assert rest[-1] in ("503", "554") and "250" not in rest
        return
    if len(content) > LIMITS.message_octets and chunks is not None:
        assert set(rest) <= {"250", "552", "503"}
    else:
        assert rest[:before] == (["354"] if chunks is None else ["250"] * before)
        common = CONTENTS[content]
        each = [FATES[name] if common is None else common for name in taken]
        if not is_lmtp:
            each = ["353", *each, min(each, key=lambda code: code[0])] if common is None else [each[0]]
        assert rest[before:] == each
    client.send(b"NOOP\r\n")
    assert client.replies[-1] == "250 2.0.0 OK"
