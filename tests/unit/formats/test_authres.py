"""Authentication-Results: RFC 8601, and forgeries of it (T-AR-01, T-AR-02)."""

import authres
import pytest

from mailward.formats.authres import authentication_results, forged_indexes
from mailward.formats.header import FieldView
from mailward.formats.message import MessageView
from mailward.model.evidence import AuthResult


def _parsed(field: str) -> authres.AuthenticationResultsHeader:
    return authres.all_features().parse(f"Authentication-Results: {FieldView.of(field.encode()).value.decode()}")


def test_results_are_folded_and_another_parser_reads_them() -> None:
    written = authentication_results(
        "mx.example.org",
        [
            AuthResult("spf", "pass", (("smtp.mailfrom", "alice@example.net"),)),
            AuthResult(
                "dkim",
                "pass",
                (("header.d", "example.net"), ("header.s", "2026"), ("header.b", "abc/d=="), ("header.a", "rsa-sha256")),
            ),
            AuthResult("dmarc", "fail", (("header.from", "example.net"), ("policy.published", "reject")), reason="not aligned"),
        ],
    )
    assert written.endswith("\r\n")
    assert all(len(line) <= 80 for line in written.split("\r\n"))
    parsed = _parsed(written.replace('header.b="abc/d=="', "header.b=abc"))
    assert parsed.authserv_id == "mx.example.org"
    assert [(r.method, r.result) for r in parsed.results] == [("spf", "pass"), ("dkim", "pass"), ("dmarc", "fail")]
    assert [(p.type, p.name, p.value) for p in parsed.results[0].properties] == [("smtp", "mailfrom", "alice@example.net")]
    assert parsed.results[2].reason == "not aligned"


def test_nothing_to_publish() -> None:
    # RFC 8601 section 2.2: no-result
    assert authentication_results("mx.example.org", []) == "Authentication-Results: mx.example.org; none\r\n"


@pytest.mark.parametrize(
    "value",
    [
        "any@legit.test' smtp.mailfrom=x@evil.test",
        "a@b.test\r\nX-Evil: 1",
        "ok) ; dkim=pass (x",
        'a"; dkim=pass; x="@',
        "a@b.test; dkim=pass",
        "\\",
        "ü@example.org",
        "x" * 5000,
        "",
    ],
)
def test_t_ar_02_values_cannot_add_results(value: str) -> None:
    written = authentication_results(
        "mx.example.org", [AuthResult("spf", "pass", (("smtp.mailfrom", value),), reason=value or None)]
    )
    assert written.isascii()
    assert all(len(line) < 998 for line in written.split("\r\n"))
    assert [raw for raw in written.split("\r\n")[1:-1] if not raw.startswith("\t")] == []
    unquoted = "".join(written.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    assert unquoted.count(";") == 1
    assert unquoted.count("=") == (3 if value else 2)


def test_t_ar_02_words_that_are_no_keywords_are_left_out() -> None:
    results = [
        AuthResult("spf; dkim", "pass"),
        AuthResult("dkim", "pass (x"),
        AuthResult("arc", "pass", (("a b.c", "d"), ("nodot", "e"))),
    ]
    assert authentication_results("mx.example.org", results) == "Authentication-Results: mx.example.org;\r\n\tarc=pass\r\n"


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mx.example.org; dmarc=pass",
        b"authentication-results: MX.Example.ORG; dmarc=pass",
        b"Authentication-Results : mx.example.org; dmarc=pass",
        b"Authentication-Results:\r\n\tmx.example.org\r\n\t; dmarc=pass",
        b"Authentication-Results: (c) mx.example.org (d(e)) ; dmarc=pass",
        b"Authentication-Results: mx.example.org.; dmarc=pass",
        b"Authentication-Results: mx.example.org 1; dmarc=pass",
        b"Authentication-Results: mx.example.org/1; dmarc=pass",
        b'Authentication-Results: "mx.example.org"; dmarc=pass',
        b'Authentication-Results: "mx\\.example.org"; dmarc=pass',
        b"Authentication-Results: mx. example .org; dmarc=pass",
        b"Authentication-Results: (mx.example.org; dmarc=pass",
        b"Authentication-Results: =?utf-8?q?mx.example.org?=; dmarc=pass",
        b"Authentication-Results: dmarc=pass header.from=x (mx.example.org)",
        b"Authentication-Results: mx.exam\0ple.org; dmarc=pass",
        b"Authentication\0-Results: mx.example.org; dmarc=pass",
        b"Authentication-Results: mx.example.org",
        "Authentication-Results: ｍx.example.org; dmarc=pass".encode(),  # noqa: RUF001
    ],
)
def test_t_ar_01_forged(field: bytes) -> None:
    view = MessageView(b"Subject: x\r\n" + field + b"\r\nFrom: a@b.test\r\n" + field + b"\r\n\r\n")
    assert forged_indexes(view, "mx.example.org") == (1, 3)


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: other.example.net; spf=pass smtp.mailfrom=mx.example.org",
        b"Authentication-Results: notmx.example.org; spf=pass",
        b"Authentication-Results: mx.example.org.evil.test; spf=pass",
        b"Authentication-Results: other.example.net 1; none",
        b"Authentication-Results: spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.net; dkim=none",
        b"ARC-Authentication-Results: i=1; mx.example.org; spf=pass",
        b"X-Authentication-Results: mx.example.org; spf=pass",
    ],
)
def test_results_of_others_stay(field: bytes) -> None:
    assert forged_indexes(MessageView(b"Subject: x\r\n" + field + b"\r\n\r\n"), "mx.example.org") == ()


def test_t_ar_01_forgeries_below_any_budget_are_found() -> None:
    header = b"X: y\r\n" * 1500 + b"Authentication-Results: mx.example.org; dmarc=pass\r\n"
    assert forged_indexes(MessageView(header + b"\r\n"), "mx.example.org") == (1500,)


def test_t_ar_01_a_first_line_that_would_continue_our_field_is_among_them() -> None:
    assert forged_indexes(MessageView(b" ; dmarc=pass\r\nFrom: a@b.test\r\n\r\n"), "mx.example.org") == (0,)
