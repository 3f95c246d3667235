"""Address lists of header fields: RFC 5322 section 3.4 and appendix A, and what attackers write instead."""

import time

import pytest

from mailward.formats.address_lists import read_address_list
from mailward.formats.mailboxes import Group
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
        b'a@"evil.test"',
        b"a:b@c.test; d@e.test",
        b":a@evil.test;",
        b"[x] <a@evil.test>",
        b". <a@evil.test>",
        b"a b@evil.test",
        b"a@evil.test\r, b@evil.test",
        b'"a\0"@evil.test',
        b'"\x07"@evil.test',
        b"(" * 9 + b")" * 9 + b"a@evil.test",
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
        b"<@a," * 50_000,
        b"@a " * 50_000,
        b'"@' * 50_000,
        b"a" * 50_000 + b"@",
        "".join(f"@é{n}," for n in range(9_000)).encode(),
        b"=?utf-8?q?<=40>?= " * 3_000,
        b"x@y.test, " * 5_000 + b"(",
    ],
    ids=lambda value: value[:4].decode(),
)
def test_t_hdr_16_and_18_hostile_lists_take_linear_time(value: bytes) -> None:
    started = time.process_time()
    found = read_address_list(value)
    assert len(found.addresses_of_any_reader) < 5000
    assert time.process_time() - started < 4
    assert len(found.mailboxes) <= 2000


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        # The tricks of T-HDR-06 and T-HDR-07.
        (b"=?utf-8?b?PGFkbWluQGxlZ2l0PjM=?=,<x@evil>", "evil legit"),
        (b"=?utf-8?q?admin=40legit=2C?= <x@evil>", "evil legit"),
        (b"x@=?utf-8?q?legit?=", "legit"),
        (b"<@evil,@any:admin@legit>", "any evil legit"),
        (b"<any@evil>admin@legit", "evil legit"),
        (b"a@legit)x@evil", "evil legit"),
        (b"a@legit@evil", "evil legit"),
        (b'"admin@legit"@evil', "evil legit"),
        (b'"<admin@legit>" <x@evil>', "evil legit"),
        (b"<x@evil> (<admin@legit>)", "evil legit"),
        (b"x@evil (<admin@legit>", "evil legit"),
        (b'"\\" <admin@legit>" <x@evil>', "evil legit"),
        (b'admin@legit "<x@evil>', "evil legit"),
        (b"admin@legit <x@evil>", "evil legit"),
        (b"<admin@legit <x@evil>", "evil legit"),
        (b"x@evil.test\0.legit", "evil.test evil.test.legit"),
        (b"x@evil .legit", "evil evil.legit"),
        (b"x@evil(.not).legit", "evil evil.legit"),
        (b"x@evil; admin@legit", "evil legit"),
        ("x@bücher.test; y@evil_host.".encode(), "evil_host xn--bcher-kva.test"),
    ],
)
def test_t_hdr_05_to_07_every_domain_that_some_reader_takes(value: bytes, domains: str) -> None:
    found = read_address_list(value)
    assert sorted(found.domains_of_any_reader) == domains.split()
    assert found.has_ambiguous_domains == (len(domains.split()) > 1)
    assert found.is_ambiguous


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        (b"", ""),
        (b"a@x.test", "x.test"),
        (b"Mary <a@x.test>, b@[192.0.2.1], Team: c@y.test;", "[192.0.2.1] x.test y.test"),
        (b"admin@legit,<x@evil>", "evil legit"),
        (b"A@X.Test (Mary)", "x.test"),
        (b"pete(his account)@silly.test(his host)", "silly.test"),
        (b'"Mary, of X" <a@x.test>, "b c"@x.test', "x.test"),
        # T-HDR-08: what the name says is for people, and no reader's address.
        (b'"ceo@bank" <x@evil>', "evil"),
        (b"x@evil (ceo@bank)", "evil"),
        (b"=?utf-8?q?ceo=40bank?= <x@evil>", "evil"),
        (b"=?utf-8?q?J=C3=B6rg?= <j@x.test>, a@x.test", "x.test"),
        ("jörg@bücher.test".encode(), "xn--bcher-kva.test"),
    ],
)
def test_readers_agree_about_ordinary_lists(value: bytes, domains: str) -> None:
    found = read_address_list(value)
    assert sorted(found.domains_of_any_reader) == domains.split()
    assert not found.is_ambiguous
    assert not found.has_ambiguous_domains


@pytest.mark.parametrize("value", [b"<admin@legit>\\,<x@evil>", b"x: admin@legit, x@evil", b"x: admin@legit; x@evil"])
def test_t_hdr_05_and_07_a_malformed_list_of_two_domains_is_ambiguous_however_it_is_read(value: bytes) -> None:
    assert read_address_list(value).has_ambiguous_domains


@pytest.mark.parametrize(
    ("value", "is_other"),
    [
        (b'"ceo@bank.test" <x@evil.test>', True),
        (b"=?utf-8?q?CEO_=40_bank.test?= <x@evil.test>", True),
        (b"x@evil.test (ceo@bank.test)", True),
        (b'"ceo@bank" <x@evil.test>', True),
        ('"ceo\uff20bank.test" <x@evil.test>'.encode(), True),
        ('"ich@bücher.test" <x@xn--bcher-kva.test>'.encode(), False),
        (b'"Joe (@joe)" <x@evil.test>', False),
        (b'"x@evil.test" <x@evil.test>', False),
        (b'"me @ X@EVIL.TEST." <x@evil.test>', False),
        (b'"Meet us @ 7" <x@evil.test>', False),
        (b'"bank.test via" <x@evil.test>', False),
        (b'"ceo@bank.test"', False),
    ],
)
def test_t_hdr_08_an_address_in_the_name(value: bytes, is_other: bool) -> None:
    (mailbox,) = read_address_list(value).mailboxes
    assert mailbox.has_other_address_in_name == is_other


def test_another_address_of_the_same_domain_is_ambiguous_too() -> None:
    found = read_address_list(b'"<ceo@x.test>" <me@x.test>')
    assert found.is_ambiguous
    assert not found.has_ambiguous_domains


def test_an_unclosed_bracket_does_not_swallow_the_rest() -> None:
    assert _pairs(b"<a@x.test, Bob <b@y.test>") == [("", ""), ("Bob", "b@y.test")]


@pytest.mark.parametrize("entry", [b"a@x.test,", b"<a@x.test>,", b"a@x.test(),", b"g:a@x.test;,", b"g:;,"])
def test_t_hdr_18_a_list_ends_at_the_budget(entry: bytes) -> None:
    assert not read_address_list(entry * 2000).is_cut
    found = read_address_list(entry * 2001)
    assert found.is_cut
    assert len(found.mailboxes) <= len(found.entries) == 2000


def test_a_long_field_is_cut() -> None:
    found = read_address_list(b"a@x.test," + b" " * 70_000 + b"b@x.test")
    assert found.is_cut
    assert [str(m.address) for m in found.mailboxes] == ["a@x.test"]


def test_the_plain_pattern_and_the_tokens_read_the_same() -> None:
    """A comment in front sends a list past the pattern."""
    value = b'Joe Q. Public  <j.q@X.test> ,\t"A, B" <a+b@y.test>,<c@z.test>,d@[192.0.2.1] ,, e/f@x-y.test'
    plain, by_token = read_address_list(value.replace(b"d@[192.0.2.1] ,,", b"")), read_address_list(value + b",()")
    wanted = [m for m in by_token.mailboxes if m.local_part_octets != b"d"]
    assert list(plain.mailboxes) == wanted
    assert not by_token.is_malformed


@pytest.mark.parametrize(
    "name", [b'"ceo@bank.example"', b"=?utf-8?q?ceo=40bank.example?=", b"ceo at ceo\xef\xbc\xa0bank.example"]
)
def test_t_hdr_08_a_group_whose_name_shows_an_address_passes_for_an_author(name: bytes) -> None:
    assert read_address_list(name + b": a@evil.example;").shows_other_domains
    assert read_address_list(name + b":;").shows_other_domains


def test_an_honest_group_shows_nobody_else() -> None:
    for value in (
        b"undisclosed-recipients:;",
        b"Staff: ann@example.org, bob@example.org;",
        b'"ann@example.org": ann@example.org;',
    ):
        assert not read_address_list(value).shows_other_domains
