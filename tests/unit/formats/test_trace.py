"""Trace fields: RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailward.formats.anomalies import ANOMALIES
from mailward.formats.header import FieldView
from mailward.formats.message import MessageView
from mailward.formats.trace import count_received, count_received_by, received_field, return_path_field
from mailward.model.address import NULL_REVERSE_PATH, Address, ReversePath
from mailward.model.ids import QueueId, SessionId
from mailward.model.session import ReverseName, Role, Session, TlsFacts

AT = datetime(2026, 11, 2, 9, 5, 7, tzinfo=UTC)
SESSION = Session(SessionId("s"), Role.MX, "mx", "192.0.2.1", AT, helo="client.example.net", extended=True)


def _received(session: Session, for_path: str | None = None, *, smtputf8: bool = False) -> str:
    return received_field(
        session=session, hostname="mx.example.org", id=QueueId("q1"), at=AT, for_path=for_path, smtputf8=smtputf8
    )


def _unfolded(field: str) -> str:
    assert field.endswith("\r\n")
    assert all(len(line) <= 78 for line in field.split("\r\n"))
    return " ".join(FieldView.of(field.encode()).value.decode().split())


def test_one_recipient() -> None:
    assert _unfolded(_received(SESSION, "bob@example.org")) == (
        "from client.example.net ([192.0.2.1]) by mx.example.org with ESMTP id q1 "
        "for <bob@example.org>; Mon, 02 Nov 2026 09:05:07 +0000"
    )


def test_the_confirmed_name_of_the_peer_is_in_the_tcp_info() -> None:
    """RFC 5321 section 4.4: TCP-info = address-literal / ( Domain FWS address-literal )."""
    known = replace(SESSION, rdns=ReverseName("pass", "mail.example.net"))
    assert _unfolded(_received(known)).startswith("from client.example.net (mail.example.net [192.0.2.1]) by ")


@pytest.mark.parametrize("rdns", [ReverseName("fail", claimed="bank.example"), ReverseName("permerror"), ReverseName("none")])
def test_t_hdr_11_a_name_that_does_not_lead_back_is_not_repeated(rdns: ReverseName) -> None:
    assert _unfolded(_received(replace(SESSION, rdns=rdns))).startswith("from client.example.net ([192.0.2.1]) by ")


def test_several_recipients_are_not_named() -> None:
    assert " for " not in _unfolded(_received(SESSION))


def test_tls_and_ipv6() -> None:
    session = replace(SESSION, peer_ip="2001:db8::1", tls=TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    text = _unfolded(_received(session))
    assert "from client.example.net ([IPv6:2001:db8::1])" in text
    assert "with ESMTPS (TLSv1.3, TLS_AES_256_GCM_SHA384) id q1;" in text


def test_smtputf8() -> None:
    assert "with UTF8SMTP id" in _unfolded(_received(SESSION, smtputf8=True))
    assert "for <jörg@example.org>" in _unfolded(_received(SESSION, "jörg@example.org", smtputf8=True))
    assert "for" not in _unfolded(_received(SESSION, "jörg@example.org")).split()


@pytest.mark.parametrize("helo", [None, "", "a b", "x\r\nBcc: y@z", "(", "[1.2.3]", "a;b", "\0", "ü.example\n"])
def test_t_hdr_11_a_helo_name_that_is_none_is_not_repeated(helo: str | None) -> None:
    assert _unfolded(_received(replace(SESSION, helo=helo))).startswith("from [192.0.2.1] ([192.0.2.1]) by ")


def test_return_path() -> None:
    assert return_path_field(NULL_REVERSE_PATH) == "Return-Path: <>\r\n"
    assert return_path_field(ReversePath(Address("a b", "example.org"))) == 'Return-Path: <"a b"@example.org>\r\n'


def test_t_relay_16_hops_are_counted_beyond_the_budget_of_fields() -> None:
    header = b"X: y\r\n" * 1200 + b"Received: a\r\nRECEIVED : b\r\nReceived-SPF: c\r\n"
    assert count_received(MessageView(header + b"\r\nReceived: body\r\n")) == 2


@pytest.mark.parametrize(
    "for_path", [None, "bob@example.org", "a-local-part-so-long-that-the-field-is-folded-before-it@example.org"]
)
@pytest.mark.parametrize("helo", ["client.example.net", "a-name-so-long.that-the-field-is-folded.in-front-of-ours.example.net"])
def test_t_relay_15_our_own_hops_are_known_by_the_field_we_write(helo: str, for_path: str | None) -> None:
    field = _received(replace(SESSION, helo=helo), for_path)
    hostname = "mx.example.org"
    view = MessageView((field * 2 + "Received: from a by other.example with SMTP id 1; x\r\n" + field).encode() + b"\r\nhi\r\n")
    assert count_received_by(view, hostname.upper()) == 3
    assert count_received_by(view, "x" + hostname) == count_received_by(view, hostname[:-1]) == 0


@pytest.mark.parametrize(
    "other",
    [
        "from by.mx.example.org (x) by other.example with SMTP id 1; x",
        "from a (by-mx.example.org) by mx.example.org.evil.example with SMTP; x",
        "from a standby mx.example.org with SMTP; x",
    ],
)
def test_hops_of_others_are_not_ours(other: str) -> None:
    assert count_received_by(MessageView(f"Received: {other}\r\n\r\nhi\r\n".encode()), "mx.example.org") == 0


@pytest.mark.parametrize(
    "forged",
    [
        b"Received: from localhost ([127.0.0.1]) by mx.example.test; Fri, 31 Dec 9999 23:59:59 +0000\r\n",
        b"Received: from bank.example (unknown [10.0.0.1]) by mx.example.test with ESMTPSA id x; Thu, 99 Foo 2026\r\n",
        b"Received: (((((((((((((((((((\r\n",
        b"Received: " + b"from a " * 8000 + b"\r\n",
        b"Received:\r\n",
        b"Received: by \0mx; \xff\xfe\r\n",
    ],
)
def test_t_hdr_22_forged_received_fields_only_count_as_hops(forged: bytes) -> None:
    """Nothing is believed of a trace field that we did not write: not its client, not its date."""
    view = MessageView(forged + b"From: a@example.org\r\n\r\nhi\r\n")
    assert count_received(view) == 1
    assert [str(mailbox.address) for mailbox in view.authors] == ["a@example.org"]
    assert view.date is None
    assert {ANOMALIES[name].kind for name in view.anomalies} <= {"lines", "header"}
