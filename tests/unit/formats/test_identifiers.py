"""Identifiers of messages: RFC 5322 section 3.6.4."""

import time

import pytest

from mailward.formats.identifiers import Identifiers, read_identifiers


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b"", ""),
        # RFC 5322 appendix A
        (b"<1234@local.machine.example>", "<1234@local.machine.example>"),
        (b"<1234@local.machine.example> <3456@example.net>", "<1234@local.machine.example> <3456@example.net>"),
        (b"<1234   @   local(blah)  .machine .example>", "<1234@local.machine.example>"),
        (b"<a@b><c@d>\t<e@[127.0.0.1]>", "<a@b> <c@d> <e@[127.0.0.1]>"),
        (b"(first) <a@b> (last)", "<a@b>"),
        # RFC 5256 section 2.2: quotes that are not needed make no other identifier
        (b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', "<01KF8JCEOCBS0045PS@xxx.yyy.com>"),
        ("<grün@x.test>".encode(), "<grün@x.test>"),
    ],
)
def test_well_formed(value: bytes, ids: str) -> None:
    assert read_identifiers(value) == Identifiers(tuple(ids.split()))


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b"m", ""),
        (b"a@b, c@d e@f@g <", "<a@b> <c@d>"),
        (b"<>", ""),
        (b"<a>", "<a>"),
        (b"<a@b@c>", "<a@b@c>"),
        (b"<a@b", ""),
        (b"<a@b <c@d>", "<c@d>"),
        (b"<a@b>>", "<a@b>"),
        (b"<a@b>, <c@d>", "<a@b> <c@d>"),
        (b"Message from x@y of today <a@b>", "<a@b>"),
        (b'Your message of "yesterday" <a@b>', "<a@b>"),
        (b"<a\0@b> <c@d>", "<a@b> <c@d>"),
        (b"<" + b"x" * 10_000 + b"@y> <a@b>", "<a@b>"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_t_hdr_21_others_are_read_as_well_as_possible(value: bytes, ids: str) -> None:
    assert read_identifiers(value) == Identifiers(tuple(ids.split(" ") if ids else ()), is_malformed=True)


@pytest.mark.parametrize("each", [b"<a@b>", b"<a@(c)b> "])
def test_t_hdr_21_a_list_ends_at_the_budget(each: bytes) -> None:
    assert not read_identifiers(each * 1000).is_cut
    found = read_identifiers(each * 1001)
    assert found.is_cut
    assert found.ids == ("<a@b>",) * 1000


@pytest.mark.parametrize(
    "value",
    [
        b"<" * 500_000,
        b"<a@b> " * 100_000,
        b"(" * 500_000,
        b"<(" * 250_000,
        b"<" + b"a@" * 250_000,
        b'<"a' * 200_000,
        b"a@b " * 200_000,
        b"a" * 500_000,
    ],
)
def test_t_hdr_21_a_long_field_takes_linear_time(value: bytes) -> None:
    started = time.process_time()
    assert read_identifiers(value).is_cut
    assert time.process_time() - started < 4
