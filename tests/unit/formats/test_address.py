"""Paths of the envelope: RFC 5321 sections 4.1.2, 4.1.3, 4.5.3.1; RFC 6531."""

import pytest

from mailward.formats.address import parse_forward_path, parse_mailbox, parse_reverse_path
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.model.address import Address


def test_a_path_and_what_follows_it() -> None:
    path, rest = parse_reverse_path(b"<Alice@Example.ORG> SIZE=5", smtputf8=False)
    assert (path.address, rest) == (Address("Alice", "example.org"), b" SIZE=5")


def test_the_null_reverse_path_is_no_forward_path() -> None:
    assert parse_reverse_path(b"<>", smtputf8=False)[0].is_null
    with pytest.raises(AddressSyntaxError):
        parse_forward_path(b"<>", smtputf8=False)


@pytest.mark.parametrize("octets", [b"<postmaster>", b"<Postmaster>", b"<POSTMASTER>"])
def test_t_relay_05_bare_postmaster(octets: bytes) -> None:
    assert parse_forward_path(octets, smtputf8=False)[0].address == Address("postmaster", "")
    with pytest.raises(AddressSyntaxError):
        parse_reverse_path(octets, smtputf8=False)


@pytest.mark.parametrize(
    ("octets", "address"),
    [
        (b"<x%outside@local.test>", Address("x%outside", "local.test")),
        (b'<"x%outside"@local.test>', Address("x%outside", "local.test")),
        (b"<outside!x@local.test>", Address("outside!x", "local.test")),
        (b"<@local.test:x@outside.test>", Address("x", "outside.test")),
        (b"<@local.test,@b.test:x@outside.test>", Address("x", "outside.test")),
        (b'<"x@outside"@local.test>', Address("x@outside", "local.test")),
        (b'<"a\\"@b"@local.test>', Address('a"@b', "local.test")),
        (b'<"a>b"@local.test>', Address("a>b", "local.test")),
        (b'<""@local.test>', Address("", "local.test")),
        (b"<x@[127.0.0.1]>", Address("x", "[127.0.0.1]")),
        (b"<x@[IPv6:::1]>", Address("x", "[IPv6:::1]")),
        (b"<x@[ipv6:2001:DB8:0:0:0:0:0:1]>", Address("x", "[IPv6:2001:db8::1]")),
        (b"<x@localhost>", Address("x", "localhost")),
        (b"<x@127.0.0.1>", Address("x", "127.0.0.1")),
        (b"<x@LOCAL>", Address("x", "local")),
        (b"<'or'1@local.test>", Address("'or'1", "local.test")),
        (b"<-f@local.test>", Address("-f", "local.test")),
    ],
)
def test_t_relay_02_to_05_the_local_part_is_opaque_and_the_domain_has_one_spelling(octets: bytes, address: Address) -> None:
    assert parse_forward_path(octets, smtputf8=False) == (parse_forward_path(octets, smtputf8=True)[0], b"")
    assert parse_forward_path(octets, smtputf8=False)[0].address == address


@pytest.mark.parametrize(
    "octets",
    [
        b"<a@b@local.test>",
        b"<a(b)@local.test>",
        b"<a @local.test>",
        b"< a@local.test >",
        b"a@local.test",
        b'<"x@outside">',
        b'<">',
        b'<"a@local.test>',
        b"<x@local.test.>",
        b"<x@local..test>",
        b"<x@.local>",
        b"<x@-local.test>",
        b"<x@local-.test>",
        b"<x@[127.0.0.256]>",
        b"<x@[127.1]>",
        b"<x@[IPv6:::1%lo]>",
        b"<x@[IPv6:1::2::3]>",
        b"<x@[tag:stuff]>",
        b"<x@[127.0.0.1>",
        b"<x@>",
        b"<@local.test>",
        b"<x>",
        b"<.x@local.test>",
        b"<x.@local.test>",
        b"<x..y@local.test>",
        b"<a\0b@local.test>",
        b"<a\r\nb@local.test>",
        b"<a\x7fb@local.test>",
        b'<"a\x01b"@local.test>',
        b"<x@local_domain.test>",
        b"",
        b"<",
        b"<x@local.test",
        b"<" + b"a" * 244 + b"@local.test>",
        b"<a@" + b"b" * 64 + b".test>",
        b"<a@" + b"b." * 130 + b"test>",
    ],
)
def test_t_relay_05_06_t_smtp_13_what_is_no_path_is_refused(octets: bytes) -> None:
    for smtputf8 in (False, True):
        with pytest.raises(AddressSyntaxError):
            parse_forward_path(octets, smtputf8=smtputf8)


def test_t_hdr_13_utf_8_needs_smtputf8() -> None:
    octets = "<jörg@bücher.example>".encode()
    with pytest.raises(AddressSyntaxError) as refused:
        parse_reverse_path(octets, smtputf8=False)
    assert refused.value.needs_smtputf8
    assert parse_reverse_path(octets, smtputf8=True)[0].address == Address("jörg", "xn--bcher-kva.example")
    with pytest.raises(AddressSyntaxError):
        parse_reverse_path(b"<j\xc3\x28@example.org>", smtputf8=True)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("faß.de", "xn--fa-hia.de"),  # IDNA2003 would make it another domain, fass.de
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("example。org", "example.org"),
        ("\uff45xample.org", "example.org"),
    ],
)
def test_t_relay_05_one_spelling_for_u_labels(text: str, domain: str) -> None:
    assert normalise_domain(text) == domain


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", "exa mple.org", "a\u200bb\n.org", "℀.org", "☃\u202e.org", "a" * 300, "[", "[]", "[::1]"]
)
def test_no_domain(text: str) -> None:
    with pytest.raises(AddressSyntaxError):
        normalise_domain(text)


def test_longer_local_parts_of_real_reverse_paths_are_taken_within_a_path() -> None:
    assert parse_mailbox(f"{'a' * 242}@example.org").local_part == "a" * 242
    with pytest.raises(AddressSyntaxError, match="longer than 254"):
        parse_mailbox(f"{'a' * 243}@example.org")


def test_the_longest_local_part_and_domain_are_taken() -> None:
    # RFC 5321 section 4.5.3.1: 64 and 255 octets at least, a path of 256
    domain = ".".join(["b" * 63, "c" * 63, "d" * 57])
    assert parse_mailbox(f"{'a' * 64}@{domain}.b").domain == f"{domain}.b"


@pytest.mark.parametrize("text", ["a b@example.org", "a@example.org\n", "\ud800@example.org", "a@b>c"])
def test_parse_mailbox_takes_the_whole_text_or_nothing(text: str) -> None:
    with pytest.raises(AddressSyntaxError):
        parse_mailbox(text)


@pytest.mark.parametrize(
    "text", ["a@example.org", '"a b"@example.org', '"a\\"\\\\b"@example.org', '""@example.org', "a@[IPv6:::1]"]
)
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_mailbox(text)) == text
