"""Address lists of header fields: RFC 5322 section 3.4 and appendix A, and what attackers write instead."""

import time

import pytest

from mailward.formats.mailboxes import Group, read_address_list
from mailward.model.address import Address


def _pairs(value: bytes) -> list[tuple[str, str]]:
    return [(m.display_name, str(m.address or "")) for m in read_address_list(value).mailboxes]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 5322 appendix A.1.2
        (
            b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            [("Mary Smith", "mary@x.test"), ("", "jdoe@example.org"), ("Who?", "one@y.test")],
        ),
        (
            b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [("", "boss@nil.test"), ('Giant; "Big" Box', "sysservices@example.net")],
        ),
        (b'"Joe Q. Public" <john.q.public@example.com>', [("Joe Q. Public", "john.q.public@example.com")]),
        # appendix A.1.3
        (
            b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            [("Ed Jones", "c@a.test"), ("", "joe@where.test"), ("John", "jdoe@one.test")],
        ),
        (b"Undisclosed recipients:;", []),
        # appendix A.5
        (b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", [("Pete", "pete@silly.test")]),
        (
            b"A Group(Some people)\t:Chris Jones <c@(Chris's host.)public.example>,\tjoe@example.org, "
            b"John <jdoe@one.test> (my dear friend); (the end of the group)",
            [("Chris Jones", "c@public.example"), ("", "joe@example.org"), ("John", "jdoe@one.test")],
        ),
        # section 4.4: obsolete, harmless
        (b"Joe Q. Public <john.q.public@example.com>", [("Joe Q. Public", "john.q.public@example.com")]),
        (b"a@example.org, , b@example.org", [("", "a@example.org"), ("", "b@example.org")]),
        (b"jdoe@test  . example", [("", "jdoe@test.example")]),
        # names in comments, encoded-words in names
        (b"user@example.org (Real Name)", [("Real Name", "user@example.org")]),
        (b"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_A?= <j@example.org>", [("Jörg A", "j@example.org")]),
        (b'"=?utf-8?q?J=C3=B6rg?=" <j@example.org>', [("Jörg", "j@example.org")]),
        ("Jörg <jörg@bücher.example>".encode(), [("Jörg", "jörg@xn--bcher-kva.example")]),
        (b"a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        (b"", []),
    ],
)
def test_well_formed(value: bytes, expected: list[tuple[str, str]]) -> None:
    assert _pairs(value) == expected
    assert not read_address_list(value).is_malformed


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?b?PGFkbWluQGxlZ2l0PjM=?=,<x@evil.test>",
        b"<@evil.test,@any.test:admin@legit.test>",
        b"<admin@legit.test>\\,<x@evil.test>",
        b"<any@evil.test>admin@legit.test",
        b"a@legit.test)x@evil.test",
        b"a@good.test@evil.test",
        b"<a@good.test@evil.test>",
        b"admin@legit.test <x@evil.test>",
        b"<a@evil.test> <b@legit.test>",
        b"<a@evil.test",
        b'"unclosed <a@evil.test>',
        b"a@evil.test (unclosed",
        b"group: a@evil.test",
        b"a@evil.test;",
        b"<>",
        b"x",
        b"@evil.test",
        b"a@",
        b"a@ex\0ample.org",
    ],
    ids=lambda value: value.decode("latin-1").replace("\0", "NUL"),
)
def test_t_hdr_05_to_07_what_readers_differ_about_is_malformed(value: bytes) -> None:
    assert read_address_list(value).is_malformed


def test_t_hdr_06_encoded_words_are_not_decoded_in_addresses() -> None:
    found = read_address_list(b"=?utf-8?q?ceo=40bank.test?=@evil.test").mailboxes
    assert [m.address for m in found] == [Address("=?utf-8?q?ceo=40bank.test?=", "evil.test")]


def test_groups_are_kept() -> None:
    entries = read_address_list(b"x@a.test, Team: y@b.test, z@c.test;, Empty:;").entries
    assert [len(e.mailboxes) if isinstance(e, Group) else 0 for e in entries] == [0, 2, 0]
    assert [e.name_octets for e in entries if isinstance(e, Group)] == [b"Team", b"Empty"]


@pytest.mark.parametrize(
    "value",
    [
        b"(" * 50_000,
        b"((((((((((a))))))))))" * 3000,
        b'"' * 50_000,
        b"<" * 50_000,
        b"a:" * 50_000,
        b"x " * 50_000 + b":" * 50_000,
        b"a@b," * 300_000,
        b"\\" * 50_000,
        b"x:;" * 30_000,
        b"[" * 50_000,
    ],
    ids=lambda value: value[:4].decode(),
)
def test_t_hdr_16_and_18_hostile_lists_take_linear_time(value: bytes) -> None:
    started = time.perf_counter()
    found = read_address_list(value)
    assert time.perf_counter() - started < 1
    assert len(found.mailboxes) <= 2000
