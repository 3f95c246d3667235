"""Which small messages does fuzzing start from? One for each thing that readers do, all of them good."""

_TOP = (
    b"From: Anna Example <anna@example.org>\r\nTo: b@example.net\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from here\r\n"
    b"Date: Tue, 24 Nov 2026 10:04:05 +0100\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
)


def _multipart(kind: bytes, boundary: bytes, *parts: bytes) -> bytes:
    delimiter = b"\r\n--" + boundary
    pieces = b"".join(delimiter + b"\r\n" + part for part in parts)
    return b'Content-Type: multipart/%s; boundary="%s"\r\n\r\npreamble%s%s--\r\nepilogue\r\n' % (
        kind,
        boundary,
        pieces,
        delimiter,
    )


_TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe, long =\r\nline=\r\n end.\r\n"
_HTML = b'Content-Type: text/html; charset="utf-8"\r\n\r\n<p>Hello <a href="https://example.org/">there</a></p>\r\n'
_FILE = (
    b'Content-Type: application/octet-stream; name="a b.bin"\r\nContent-Transfer-Encoding: base64\r\n'
    b"Content-Disposition: attachment; filename*0*=utf-8''a%20; filename*1=b.bin\r\n\r\nQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n"
)
_MESSAGE = b"Content-Type: message/rfc822\r\n\r\n" + _TOP + b"\r\ninner text\r\n"
_STATUS = b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; b@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"

SEEDS: tuple[bytes, ...] = (
    _TOP + b"\r\nplain text\r\nof two lines\r\n",
    _TOP + _TEXT,
    _TOP + b"Content-Type: text/plain (a comment); charset=us-ascii (another)\r\nContent-Transfer-Encoding: 7bit (c)\r\n\r\ntext\r\n",
    _TOP + _FILE,
    _TOP + _multipart(b"alternative", b"=_x", _TEXT, _HTML),
    _TOP + _multipart(b"mixed", b"b1", _multipart(b"alternative", b"b2", _TEXT, _HTML), _FILE, _FILE),
    _TOP + _multipart(b"digest", b"dg", b"\r\n" + _TOP + b"\r\nfirst\r\n", b"\r\n" + _TOP + b"\r\nsecond\r\n"),
    _TOP + _multipart(b"report; report-type=delivery-status", b"rp", b"\r\nIt failed.\r\n", _STATUS, _MESSAGE),
    _TOP + _multipart(b"mixed", b"b1", _MESSAGE, b"Content-Type: message/rfc822\r\n\r\n" + _TOP + _multipart(b"mixed", b"b2", _TEXT, _FILE)),
    _TOP + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp0ZXh0DQo=\r\n",
    _TOP + _multipart(b"mixed", b"b1", b"\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n", b"Content-Type: application/ms-tnef\r\n\r\nx\r\n"),
    _TOP + b"Content-Type: message/partial; id=\"1@example.org\"; number=1; total=2\r\n\r\nSubject: part\r\n\r\ntext\r\n",
    b"Received: from a (b [192.0.2.1])\r\n\tby c; Tue, 24 Nov 2026 10:04:05 +0100\r\n"
    b'From: team: "A, B" <a@example.org>, (c) b@example.net;, <@r.example:d@example.com>\r\nReply-To: =?utf-8?b?w7w=?= <x@example.org>\r\n\r\n',
)  # fmt: skip
