"""What the ambiguity plugin says about mail that readers take differently, and that it is silent about honest mail."""

from base64 import b64encode

import pytest

from mailward.api import Finding, MessageView
from mailward_plugins.ambiguity import inspect_message
from mailward_plugins.ambiguity.settings import AmbiguityFacts

ME = b"From: a@example.net\r\n"
TO = b"To: b@example.org\r\n"
FILE = (
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b64encode(b"a file of some length")
    + b"\r\n"
)


def findings(octets: bytes) -> dict[str | None, Finding]:
    return {finding.symbol: finding for finding in inspect_message(MessageView(octets))}


def facts(octets: bytes) -> AmbiguityFacts:
    (found,) = {finding.facts for finding in inspect_message(MessageView(octets))}
    assert isinstance(found, AmbiguityFacts)
    return found


def mail(body_fields: bytes, body: bytes = b"") -> bytes:
    return ME + TO + b"MIME-Version: 1.0\r\n" + body_fields + b"\r\n" + body


def multipart(*parts: bytes, declared: bytes = b"boundary=A", end: bytes = b"--A--\r\n") -> bytes:
    body = b"".join(b"--A\r\n" + part for part in parts) + end
    return mail(b"Content-Type: multipart/mixed; " + declared + b"\r\n", body)


@pytest.mark.parametrize(
    "octets",
    [
        mail(b"", b"hello\r\n"),
        mail(
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n", b"a =3D b=\r\n c\r\n"
        ),
        multipart(b"Content-Type: text/plain\r\n\r\nhello\r\n", FILE),
        multipart(b"\r\n-- \r\nsignature\r\n--\r\n-----Original Message-----\r\n", FILE),
    ],
)
def test_honest_mail_is_read_alike(octets: bytes) -> None:
    assert findings(octets)[None].text == "no reader finds other parts or authors in it"
    assert facts(octets) == AmbiguityFacts()


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (
            multipart(b"\r\nhello\r\n", end=b"--A--\r\n--B\r\n" + FILE + b"--B--\r\n", declared=b"boundary=A; boundary=B"),
            "as base64",
        ),
        (mail(b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", b"aGVsbG8gd29ybGQ=\r\n"), "as base64"),
        (mail(b"Content-Transfer-Encoding: base645\r\n", b"aGVsbG8gd29ybGQ=\r\n"), "as base64"),
        (mail(b"Content-Transfer-Encoding: base64\r\n", b"aGVs=bG8gd29y#bGQ=\r\n"), "padding"),
        (mail(b"Content-Transfer-Encoding: quoted-printable\r\n", b"a =0=41 b\r\n"), "stray signs"),
        (multipart(b"\r\nhello\r\n", end=b"--A--\r\n" + FILE), "as base64"),
        (
            multipart(b"Content-Type: text/plain\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gd29ybGQ=\r\n"),
            "as base64",
        ),
        (mail(b"", b"begin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n"), "uuencode"),
    ],
)
def test_t_mime_01_to_18_the_sentence_names_the_part_and_what_differs(octets: bytes, words: str) -> None:
    found = findings(octets)["AMBIGUOUS_MIME"]
    assert found.asks == "quarantine" and words in found.text and "other readers find other content" in found.text
    assert found.text.startswith(("Part ", "The message: ", "Octets "))
    assert facts(octets).mime


def test_t_mime_26_a_text_that_says_something_else_in_another_charset() -> None:
    body = b'<meta charset="utf-16le">' + "hello".encode("utf-16-le") + b"+ADw-script+AD4-"
    found = findings(mail(b"Content-Type: text/html; charset=utf-7\r\n", body))["AMBIGUOUS_MIME"]
    assert found.asks == "quarantine" and "charset" in found.text


def test_an_odd_structure_that_reads_alike_alarms_nobody() -> None:
    octets = multipart(b"Content-Type: text/plain\r\n\r\nhello\r\n", FILE, end=b"")
    assert [(each.symbol, each.asks) for each in findings(octets).values()] == [("ODD_MIME", None)]
    assert not facts(octets).mime


@pytest.mark.parametrize(
    ("test_id", "header", "symbol", "asks"),
    [
        ("T-HDR-01", b"From: a@evil.example\r\nFrom: ceo@bank.example\r\n", "AMBIGUOUS_AUTHOR", "reject"),
        ("T-HDR-01", ME + ME, "AMBIGUOUS_AUTHOR", "reject"),
        ("T-HDR-02", b"From : a@evil.example\r\n", "AMBIGUOUS_AUTHOR", "quarantine"),
        ("T-HDR-02", ME + b"From\r\n : ceo@bank.example\r\n", "AMBIGUOUS_AUTHOR", "reject"),
        ("T-HDR-02", ME + b"From\0: ceo@bank.example\r\n", "AMBIGUOUS_AUTHOR", "reject"),
        ("T-HDR-04", b"From: a@evil.example, ceo@bank.example\r\n", "AMBIGUOUS_AUTHOR", "quarantine"),
        ("T-HDR-04", b"From: a@example.net, b@example.net\r\n", None, None),
        ("T-HDR-05", b"From: team: a@evil.example, b@bank.example;\r\n", "AMBIGUOUS_AUTHOR", "quarantine"),
        ("T-HDR-05", b"From: x:;\r\n", "MISSING_AUTHOR", "quarantine"),
        ("T-HDR-05", b"", "MISSING_AUTHOR", None),
        ("T-HDR-07", b"From: <any@evil.example>admin@legit.example\r\n", "AMBIGUOUS_AUTHOR", "quarantine"),
        ("T-HDR-07", b"From: <admin@legit.example>\\,<x@evil.example>\r\n", "AMBIGUOUS_AUTHOR", "quarantine"),
    ],
)
def test_t_hdr_01_to_07_who_wrote_it(test_id: str, header: bytes, symbol: str | None, asks: str | None) -> None:
    octets = header + TO + b"\r\nhello\r\n"
    (found,) = findings(octets).values()
    assert (found.symbol, found.asks) == (symbol, asks), test_id
    assert facts(octets).author is (symbol is not None)


def test_t_hdr_03_other_fields_twice_have_a_symbol() -> None:
    found = findings(mail(b"Subject: a\r\nSubject: b\r\nDate: x\r\nDate: y\r\n", b"hello"))["DUPLICATE_FIELD"]
    assert found.asks is None and found.text == "There are several Date; there are several Subject"


@pytest.mark.parametrize(
    ("octets", "asks"),
    [
        (mail(b"X: y\r\n" * 1200), "reject"),
        (mail(b"X: " + b"y" * 70_000 + b"\r\n"), "reject"),
        (mail(b"Content-Type: text/plain" + b";a=b" * 70 + b"\r\n"), "quarantine"),
        (b"From: " + b"a@example.net," * 2100 + b"a@example.net\r\n\r\n", "quarantine"),
    ],
)
def test_what_is_beyond_a_budget(octets: bytes, asks: str | None) -> None:
    assert findings(octets)["BEYOND_BUDGET"].asks == asks and facts(octets).beyond_budget


def test_t_mime_20_deep_nesting_is_beyond_the_budget() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(60))
    found = findings(ME + TO + nested)["BEYOND_BUDGET"]
    assert found.asks == "quarantine" and "32 deep" in found.text


@pytest.mark.parametrize("content_type", [b"message/partial; id=x; number=1; total=2", b"message/external-body; access-type=url"])
def test_t_mime_19_fragments_are_held(content_type: bytes) -> None:
    octets = multipart(b"\r\nhello\r\n", b"Content-Type: " + content_type + b"\r\n\r\nContent-Type: text/plain\r\n\r\n")
    assert findings(octets)["MESSAGE_FRAGMENT"].asks == "quarantine" and facts(octets).fragment


def test_t_mime_29_what_is_encrypted_is_said_and_costs_nothing() -> None:
    parts = (
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
        b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN\r\n",
    )
    found = findings(multipart(*parts))["ENCRYPTED_CONTENT"]
    assert found.asks is None and facts(multipart(*parts)).encrypted
