"""Reports of other servers: the examples of the RFCs, forms that real servers send, our own, and whatever else comes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.dsn import Action, DeliveryReport, RecipientStatus
from mailward.formats.dsn_reading import MAX_RECIPIENTS, MAX_VALUE, HeardReport, HeardStatus, read_report
from mailward.formats.message import MessageView

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = (
    b'From: x@y.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
)


def report(
    status: bytes, kind: bytes = b"message/delivery-status", original: bytes = b"", encoding: bytes = b""
) -> HeardReport | None:
    parts = [b"Content-Type: text/plain\r\n\r\nsorry", b"Content-Type: " + kind + b"\r\n" + encoding + b"\r\n" + status]
    if original:
        parts.append(b"Content-Type: text/rfc822-headers\r\n\r\n" + original)
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return read_report(MessageView(HEAD + body))


def test_rfc_3464_e_1_a_simple_report() -> None:
    """Its fields, as the example of appendix E.1 has them, comment and folding included."""
    status = (
        b"Reporting-MTA: dns; cs.utk.edu\r\n\r\n"
        b"Original-Recipient: rfc822;louisl@larry.slip.umd.edu\r\n"
        b"Final-Recipient: rfc822;louisl@larry.slip.umd.edu\r\n"
        b"Action: failed\r\nStatus: 4.0.0\r\n"
        b"Diagnostic-Code: smtp; 426 connection timed out\r\n"
        b"Last-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400\r\n"
    )
    found = report(status, original=b"Message-ID: <1@utk.edu>\r\nSubject: x\r\n")
    louis = "louisl@larry.slip.umd.edu"
    assert found == HeardReport(
        "cs.utk.edu", "", "<1@utk.edu>", (HeardStatus(louis, louis, "failed", "4.0.0", "426 connection timed out"),)
    )


def test_rfc_3464_e_2_several_recipients_each_with_a_group() -> None:
    groups = b"".join(
        b"\r\nFinal-Recipient: rfc822;%s@a.example\r\nAction: %s\r\nStatus: %s\r\n" % row
        for row in (
            (b"arathib", b"Failed", b"5.0.0 (permanent failure)"),
            (b"johnh", b"delayed", b"4.0.0"),
            (b"wsnell", b"relayed", b"2.0.0"),
        )
    )
    found = report(b"Reporting-MTA: dns; cs.utk.edu\r\nOriginal-Envelope-Id: QQ314159\r\n" + groups)
    assert found is not None and found.envelope_id == "QQ314159" and found.message_id == ""
    told = [(status.final_recipient, status.action, status.status) for status in found.statuses]
    assert told == [
        ("arathib@a.example", "failed", "5.0.0"),
        ("johnh@a.example", "delayed", "4.0.0"),
        ("wsnell@a.example", "relayed", "2.0.0"),
    ]


@pytest.mark.parametrize(
    ("status", "kind", "encoding", "address"),
    [
        (
            b"Final-Recipient: utf-8; m\\x{FC}ller\\x{2B}a@b.example\r\n",
            b"message/delivery-status",
            b"",
            "m\u00fcller+a@b.example",
        ),
        (
            "Final-Recipient: utf-8; \u7528\u6237@b.example\r\n".encode(),
            b"message/global-delivery-status",
            b"",
            "\u7528\u6237@b.example",
        ),
        (
            b"Final-Recipient: utf-8; =E7=94=A8@b.example\r\n",
            b"message/global-delivery-status",
            b"Content-Transfer-Encoding: quoted-printable\r\n",
            "\u7528@b.example",
        ),
        (b"Final-Recipient: utf-8; a\\x{110000}b@c.example\r\n", b"message/delivery-status", b"", "a\\x{110000}b@c.example"),
        (b"Final-Recipient: b@c.example\r\n", b"message/delivery-status", b"", "b@c.example"),
    ],
)
def test_rfc_6533_addresses_of_both_forms_are_read(status: bytes, kind: bytes, encoding: bytes, address: str) -> None:
    found = report(b"Reporting-MTA: dns; x\r\n\r\n" + status + b"Action: failed\r\nStatus: 5.1.1\r\n", kind, encoding=encoding)
    assert found is not None and [heard.final_recipient for heard in found.statuses] == [address]


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: x\r\n\r\nbody\r\n",
        HEAD + b"--b\r\n\r\nonly words\r\n--b--\r\n",
        HEAD + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n--b--\r\n",
        HEAD + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nA: b\r\n\r\nFinal-Recipient: rfc822; a@b\r\n"
        b"Action: exploded\r\n--b--\r\n",
    ],
)
def test_what_tells_of_no_recipient_is_no_report(octets: bytes) -> None:
    assert read_report(MessageView(octets)) is None


def test_t_hdr_11_what_a_report_says_stays_one_bounded_line() -> None:
    words = b"550 \x1b[2J\x00no\r\n such " + b"x" * 1000
    group = (
        b"\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; "
        + words
        + b"\r\n"
    )
    found = report(b"Reporting-MTA: dns; evil\r\n" + group * 300)
    assert found is not None and len(found.statuses) == MAX_RECIPIENTS
    assert found.statuses[0].diagnostic.isprintable() and len(found.statuses[0].diagnostic) <= MAX_VALUE


@given(
    st.sampled_from(get_args(Action)),
    st.sampled_from(["b@c.example", "\u7528\u6237@c.example", '"a b"@c.example']),
    st.booleans(),
    st.booleans(),
)
def test_what_we_write_is_read_back(action: Action, recipient: str, international: bool, full: bool) -> None:
    original = "From: a@b.example\r\nSubject: sch\u00f6n\r\nMessage-ID: <1@b.example>\r\n\r\nbody\r\n".encode()
    status = RecipientStatus(
        recipient, action, "2.0.0", "250 2.0.0 fine", "mx.c.example", original_recipient="rfc822;Old+1@d.example"
    )
    written = DeliveryReport(
        "mx.b.example", "postmaster@b.example", "\u7528@b.example" if international else "a@b.example", "about it", AT, "<2@b.example>",
        "words\n", AT, [status, replace(status, final_recipient="z@z.example")], original, envelope_id="QQ+1", is_full=full,
    )  # fmt: skip
    found = read_report(MessageView(written.to_octets()))
    assert found is not None
    assert (found.reporting_mta, found.envelope_id, found.message_id) == ("mx.b.example", "QQ+1", "<1@b.example>")
    assert found.statuses[0] == HeardStatus(recipient, "Old+1@d.example", action, "2.0.0", "250 2.0.0 fine")
    assert len(found.statuses) == 2


@given(st.binary(max_size=400))
def test_whatever_stands_in_a_status_part_is_a_report_or_none(octets: bytes) -> None:
    found = report(octets)
    assert found is None or all(status.final_recipient.isprintable() for status in found.statuses)
