"""Any octets in an address list, a date or a list of identifiers give an answer, and both ways of reading give the same one."""

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.address_lists import read_address_list
from mailward.formats.dates import DateTime, read_date
from mailward.formats.identifiers import read_identifiers
from mailward.formats.lexical import tokens, without_comments
from mailward.formats.words import read_words

_PIECES = st.sampled_from(
    [bytes([octet]) for octet in b' \t\r\n\0\x7f,:;<>@()[]"\\.=?-_aZ09\xc3\xbc']
    + [
        b"a@b.test",
        b"<c@d.test>",
        b'"e f" ',
        b"=?utf-8?q?g=40h?=",
        b"=?utf-8?b?PA==?=",
        b"(x)",
        b"21 Nov 1997",
        b"09:55:06",
        b"-0600",
    ]
)
_VALUES = st.lists(_PIECES, max_size=30).map(b"".join)


@given(_VALUES)
def test_every_reader_answers(value: bytes) -> None:
    found = read_address_list(value)
    strict = {(address.local_part, address.domain) for address in found.addresses}
    assert strict <= {(each.local_part, each.domain) for each in found.addresses_of_any_reader}
    assert not any(set(mailbox.display_name) & set("\r\n\0") for mailbox in found.mailboxes)
    assert all(id_[0] == "<" and id_[-1] == ">" for id_ in read_identifiers(value).ids)
    date = read_date(value)
    assert date is None or date.at.timestamp() == date.at_s
    words = read_words(value)
    assert read_words(words.text.encode()).has_controls is False
    assert b"".join(value[token.start : token.end] for token in tokens(value)) == value
    assert without_comments(without_comments(value)) == without_comments(value)


@given(
    st.lists(st.sampled_from([b"a@b.test", b"J. Doe <c@d.test>", b'"e, f"\t<g@h.test>', b"<i@j>", b"x: y@z;", b""]), max_size=8)
)
def test_the_pattern_for_plain_lists_reads_what_the_tokens_read(entries: list[bytes]) -> None:
    """A comment at the end sends a list past the pattern."""
    value = b" ,".join(entries)
    plain, by_token = read_address_list(value), read_address_list(value + b",()")
    assert plain.entries == by_token.entries
    assert not plain.is_malformed
    assert not by_token.is_malformed
    assert not plain.is_ambiguous


@given(_VALUES)
def test_what_the_pattern_for_plain_lists_takes_the_tokens_take(value: bytes) -> None:
    plain, by_token = read_address_list(value), read_address_list(value + b",()")
    if not plain.is_malformed:
        assert plain.entries == by_token.entries


@given(st.integers(-2_208_900_000, 253_370_000_000), st.integers(-1439, 1439))
def test_a_date_that_is_written_is_read_back(at_s: int, zone_minutes: int) -> None:
    written = format_datetime(datetime.fromtimestamp(at_s, timezone(timedelta(minutes=zone_minutes))))
    assert read_date(written.encode()) == DateTime(at_s, None if written.endswith("-0000") else zone_minutes)
