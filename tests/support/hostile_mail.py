"""Which messages are made to cost a reader time, memory or its stack? One function each, of any size (T-HDR, T-MIME).

Each takes the size in octets and gives a message of about that size that repeats one thing as often as it fits.
"""

from collections.abc import Callable

Maker = Callable[[int], bytes]

_TOP = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 10:04:05 +0100\r\nMIME-Version: 1.0\r\n"
_MIXED = _TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def _filled(before: bytes, piece: bytes, after: bytes, size: int) -> bytes:
    return before + piece * max((size - len(before) - len(after)) // len(piece), 1) + after


def _in_header(before: bytes, piece: bytes, after: bytes = b"") -> Maker:
    """A field before all others whose value repeats a piece."""
    return lambda size: _filled(before, piece, after + b"\r\n" + _TOP + b"\r\ntext\r\n", size)


def _folded(before: bytes, piece: bytes) -> Maker:
    """A field whose value repeats a piece, with a fold every 60 octets or so, as no line limit forbids it."""
    return _in_header(before, piece * (60 // len(piece) or 1) + b"\r\n ", b"x")


def _in_body(before: bytes, piece: bytes, after: bytes = b"") -> Maker:
    return lambda size: _filled(before, piece, after, size)


def _nested(level: Callable[[int], bytes]) -> Maker:
    def make(size: int) -> bytes:
        pieces, length, number = [_TOP], len(_TOP), 0
        while length < size:
            piece = level(number)
            pieces.append(piece)
            length += len(piece)
            number += 1
        return b"".join(pieces)

    return make


def _numbered(before: bytes, piece: Callable[[int], bytes], after: bytes) -> Maker:
    def make(size: int) -> bytes:
        pieces, length, number = [before], len(before), 0
        while length < size:
            made = piece(number)
            pieces.append(made)
            length += len(made)
            number += 1
        return b"".join([*pieces, after])

    return make


_REST = b"\r\n" + _TOP + b"\r\ntext\r\n"

HOSTILE: dict[str, Maker] = {
    # Structure
    "t_mime_21_empty_parts": _in_body(_MIXED, b"--b\r\n\r\n", b"--b--\r\n"),
    "t_mime_21_parts_without_empty_line": _in_body(_MIXED, b"--b\r\n", b"--b--\r\n"),
    "t_mime_21_parts_that_are_messages": _in_body(_MIXED, b"--b\r\nContent-Type: message/rfc822\r\n\r\n\r\n"),
    "t_mime_21_parts_with_full_headers": _in_body(
        _MIXED,
        b"--b\r\nContent-Type: text/plain; charset=utf-8; name=x\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=x\r\n\r\nQQ==\r\n",
    ),
    "t_mime_20_nested_multiparts": _nested(lambda n: b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)),
    "t_mime_20_nested_multiparts_one_boundary": _nested(lambda n: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"),
    "t_mime_20_nested_messages": _nested(lambda n: b"Content-Type: message/rfc822\r\n\r\n"),
    "t_mime_20_nested_in_turns": _nested(
        lambda n: b"Content-Type: multipart/digest; boundary=b%d\r\n\r\n--b%d\r\nContent-Type: message/rfc822\r\n\r\n" % (n, n)
    ),
    "t_mime_20_nested_and_a_long_body": lambda size: _filled(
        _TOP + b"".join(b"Content-Type: multipart/mixed; boundary=%d.\r\n\r\n--%d.\r\n" % (n, n) for n in range(31)) + b"\r\n",
        b"a line of text that is none of theirs\r\n",
        b"",
        size,
    ),
    "t_mime_20_nested_and_closed": lambda size: b"".join(
        [
            _TOP,
            *(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(size // 100)),
            *(b"\r\n--b%d--\r\n" % n for n in reversed(range(size // 100))),
        ]
    ),
    "t_mime_09_hyphen_lines": _in_body(_MIXED, b"--\r\n"),
    "t_mime_09_hyphen_lines_of_lf": _in_body(_MIXED, b"\n--"),
    "t_mime_09_junk_after_boundary": _in_body(_MIXED, b"--bx\r\n"),
    "t_mime_09_parts_after_close": _in_body(_MIXED + b"--b\r\n\r\n--b--\r\n", b"--b\r\n\r\n"),
    "t_mime_10_prefix_boundaries": _in_body(
        _TOP
        + b"Content-Type: multipart/mixed; boundary="
        + b"b" * 60
        + b"\r\n\r\n"
        + b"".join(
            b"--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n" % (b"b" * n, b"b" * (n - 1)) for n in range(60, 30, -1)
        ),
        b"--" + b"b" * 29 + b"\r\n",
    ),
    "t_mime_11_wrong_boundary": _in_body(_MIXED, b"--c\r\n\r\ntext\r\n"),
    "t_mime_10_long_delimiter_lines": _in_body(_MIXED, b"--" + b"b" * 900 + b"\r\n"),
    # Bodies
    "t_smtp_25_one_body_line": lambda size: _TOP + b"\r\n" + b"x" * (size - len(_TOP) - 2),
    "t_mime_15_carriage_returns": _in_body(_MIXED, b"\r"),
    "t_mime_15_empty_lines": _in_body(_MIXED, b"\r\n"),
    "t_mime_15_line_feeds": _in_body(_MIXED, b"\n"),
    "t_mime_15_nuls": _in_body(_MIXED, b"\0"),
    "t_mime_16_base64_noise": _in_body(_TOP + b"Content-Transfer-Encoding: base64\r\n\r\n", b"QQ==.#\r\n"),
    "t_mime_17_equals_signs": _in_body(_TOP + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"="),
    "t_mime_17_blanks_at_line_end": _in_body(_TOP + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"= \t", b"x"),
    "t_mime_18_uuencode_begins": _in_body(_TOP + b"\r\n", b"begin 644 a.exe\r\n"),
    "t_mime_18_yenc_begins": _in_body(_TOP + b"\r\n", b"=ybegin line=128 size=9 name=a.exe\r\n"),
    "t_mime_26_open_tags": _in_body(_TOP + b"Content-Type: text/html\r\n\r\n", b"<a "),
    "t_mime_26_nested_tags": _in_body(_TOP + b"Content-Type: text/html\r\n\r\n", b"<div>"),
    "t_mime_26_open_comments": _in_body(_TOP + b"Content-Type: text/html\r\n\r\n", b"<!--"),
    # Header
    "t_smtp_25_many_fields": _in_body(b"", b"A: b\r\n", _TOP + b"\r\ntext\r\n"),
    "t_smtp_25_many_lines_without_colon": _in_body(b"", b"a\r\n", _TOP + b"\r\ntext\r\n"),
    "t_smtp_25_one_header_line": _in_header(b"Subject: ", b"x"),
    "t_smtp_25_folded_lines": _in_header(b"Subject: x", b"\r\n x"),
    "t_smtp_25_folds_of_blanks": _in_header(b"Subject: x", b"\r\n "),
    "t_smtp_25_header_without_end": lambda size: _filled(_TOP, b"A: b\r\n", b"", size),
    "t_smtp_25_part_header_without_end": lambda size: _filled(_MIXED + b"--b\r\n", b"A: b\r\n", b"", size),
    "t_smtp_25_folded_content_type": _in_header(b"Content-Type: multipart/mixed", b"\r\n ;", b" boundary=b"),
    "t_hdr_03_many_subjects": _in_body(b"", b"Subject: x\r\n", _TOP + b"\r\ntext\r\n"),
    "t_hdr_01_many_from": _in_body(b"", b"From: a@b\r\n", _TOP + b"\r\ntext\r\n"),
    "t_hdr_02_blanks_in_name": _in_header(b"From", b" ", b": a@b"),
    "t_hdr_16_comment_bomb": _in_header(b"From: ", b"(", b" a@b"),
    "t_hdr_16_comment_bomb_folded": _folded(b"From: ", b"("),
    "t_hdr_16_comments_in_turns": _in_header(b"From: ", b"(()", b" a@b"),
    "t_hdr_16_unclosed_quotes": _in_header(b"From: ", b'"\\', b" <a@b>"),
    "t_hdr_16_quotes": _in_header(b"From: ", b'"', b" <a@b>"),
    "t_hdr_05_groups": _in_header(b"From: ", b"a:", b"b@c;"),
    "t_hdr_07_routes": _in_header(b"From: <", b"@a,", b":b@c>"),
    "t_hdr_07_angles": _in_header(b"From: ", b"<", b"b@c>"),
    "t_hdr_17_encoded_words": _in_header(b"Subject: ", b"=?utf-8?q?a?= "),
    "t_hdr_17_encoded_words_folded": _in_header(b"Subject: ", b"=?utf-8?q?a?=\r\n "),
    "t_hdr_17_half_encoded_words": _in_header(b"Subject: ", b"=?"),
    "t_hdr_17_unknown_charsets": _in_header(b"Subject: ", b"=?x-evil?q?a?= "),
    "t_hdr_17_question_marks": _in_header(b"Subject: =?utf-8?q", b"?"),
    "t_hdr_18_addresses": _in_header(b"To: ", b"<a@b>,", b" <c@d>"),
    "t_hdr_18_addresses_with_names": _in_header(b"To: ", b'"A, B" (c) <a@b.example>,\r\n ', b" <c@d>"),
    "t_hdr_18_commas": _in_header(b"To: ", b",", b" <c@d>"),
    "t_hdr_21_references": _in_header(b"References: ", b"<a@b> "),
    "t_hdr_21_half_references": _in_header(b"References: ", b"<"),
    "t_hdr_12_eight_bit": _in_header(b"Subject: ", b"\xc3"),
    "t_hdr_20_date": _in_header(b"Date: ", b"1 "),
    "t_mime_02_sections": _numbered(b"Content-Type: multipart/mixed", lambda n: b"; boundary*%d=b" % n, _REST),
    "t_mime_02_sections_encoded": _numbered(b"Content-Type: multipart/mixed", lambda n: b"; boundary*%d*=%%62" % n, _REST),
    "t_mime_02_one_section": _in_header(b"Content-Type: multipart/mixed", b"; boundary*0=b"),
    "t_mime_01_boundaries": _numbered(b"Content-Type: multipart/mixed", lambda n: b"; boundary=b%d" % n, _REST),
    "t_mime_01_content_types": _in_body(b"", b"Content-Type: multipart/mixed; boundary=b\r\n", _TOP + b"\r\n--b\r\n"),
    "t_mime_04_parameters": _numbered(b"Content-Type: text/plain", lambda n: b"; a%d=b" % n, _REST),
    "t_mime_04_semicolons": _in_header(b"Content-Type: multipart/mixed", b";", b" boundary=b"),
    "t_mime_05_comments": _in_header(b"Content-Type: multipart/mixed; boundary", b"(", b"=b"),
    "t_mime_05_comments_closed": _in_header(b"Content-Type: multipart/mixed; boundary", b"(())", b"=b"),
    "t_mime_06_blanks": _in_header(b"Content-Type: multipart/mixed; boundary", b" ", b"=b"),
    "t_mime_07_quotes": _in_header(b'Content-Type: multipart/mixed; boundary="', b'\\"', b"=b"),
    "t_mime_07_unclosed_quote": _in_header(b'Content-Type: multipart/mixed; boundary="', b"b"),
    "t_mime_12_slashes": _in_header(b"Content-Type: multipart", b"/", b"; boundary=b"),
    "t_mime_13_encodings": _in_header(b"Content-Transfer-Encoding: ", b"base64, ", b"8bit"),
    "t_mime_13_encoding_comments": _in_header(b"Content-Transfer-Encoding: ", b"(", b"base64"),
    "t_mime_23_file_names": _numbered(b"Content-Disposition: attachment", lambda n: b"; filename*%d*=%%41" % n, _REST),
    "t_mime_24_long_file_name": _in_header(b'Content-Disposition: attachment; filename="', b"a.", b'exe"'),
    "t_mime_03_encoded_words": _in_header(b'Content-Disposition: attachment; filename="', b"=?utf-8?q?a?= ", b'"'),
}
