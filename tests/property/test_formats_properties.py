"""Any octets give a view that answers; what is written is read back."""

import string

from hypothesis import assume, given
from hypothesis import strategies as st

from mailward.formats.address import parse_forward_path, parse_mailbox, parse_reverse_path
from mailward.formats.address_lists import read_address_list
from mailward.formats.authres import authentication_results, forged_indexes
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.edits import render
from mailward.formats.header import FieldView, split_header
from mailward.formats.message import MessageView
from mailward.formats.words import decode_words, encode_words
from mailward.formats.writing import fold_field
from mailward.model.evidence import AuthResult

# Octets that look like mail now and then: pieces that parsers care about, mixed with anything.
_PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b" ",
            b"\t",
            b":",
            b";",
            b"(",
            b")",
            b"<",
            b">",
            b"@",
            b",",
            b'"',
            b"\\",
            b"=",
            b"--",
            b"[",
            b"]",
        ),
        *(
            b"\r\n\r\n",
            b"--a\r\n",
            b"--a--\r\n",
            b"--b\r\n\r\n",
            b"From: ",
            b"To: ",
            b"Subject: ",
            b"Content-Type: multipart/mixed; boundary=a\r\n",
        ),
        *(
            b"Content-Type: multipart/digest; boundary=b\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
        ),
        *(
            b"Content-Type: text/html; charset=",
            b"Content-Disposition: attachment; filename*0*=",
            b"=?utf-8?q?",
            b"?=",
            b"=3D",
            b"utf-8",
            b"\xc3\xa4",
        ),
        *(b"a@b.test", b"<p>", b"QUJD", b"Authentication-Results: mx.example.org; x=y\r\n", b"Message-ID: <a>\r\n"),
    ]
)
MAIL = st.lists(st.one_of(_PIECES, st.binary(max_size=8)), max_size=60).map(b"".join)
TEXT = st.text(st.characters(codec="utf-8"), max_size=120)
NAMES = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=30)


@given(MAIL)
def test_any_octets_give_a_view_that_answers(octets: bytes) -> None:
    view = MessageView(octets)
    assert view.header_octets + view.body_octets == octets
    for text in (
        view.subject,
        view.message_id,
        *(mailbox.display_name for mailbox in (*view.authors, *view.recipients_in_header)),
    ):
        assert not set(text) & set("\r\n\0")
    assert all(name.isupper() for name in view.anomalies)
    assert all(isinstance(kind, str) for kind in view.attachment_types)
    assert all(isinstance(part.text, str) for part in view.texts())
    end = 0
    for part in view.parts():
        assert isinstance(part.decode(), bytes)
        assert isinstance(part.filenames, tuple)
        assert part.start <= part.body_start <= part.end <= len(part.buffer)
        if part.buffer is octets:
            assert part.start >= end or part.depth == 0
            end = part.start
    assert forged_indexes(view, "mx.example.org") is not None


@given(MAIL)
def test_fields_joined_are_the_header_again(octets: bytes) -> None:
    view = MessageView(octets)
    fields, empty_line = split_header(view.header_octets)
    assert b"".join(fields) + empty_line == view.header_octets
    assert render(octets, ()) == octets


@given(NAMES, TEXT)
def test_a_folded_field_reads_as_it_was_written(name: str, value: str) -> None:
    assume(not set(value) & set("\r\n\0") and "=?" not in value)
    folded = fold_field(name, value)
    assert folded.isascii()
    assert len(split_header(folded)[0]) == 1
    assert all(line.strip() for line in folded[:-2].split(b"\r\n"))
    field = FieldView.of(folded)
    assert (field.name, field.is_malformed) == (name, False)
    assert field.text == decode_words(b" ".join(word.encode() for word in encode_words(value.strip(" \t"))))


@given(TEXT)
def test_encoded_words_are_read_back(text: str) -> None:
    shown = "".join(c for c in text if decode_words(c.encode()) == c)
    assert decode_words(" ".join(encode_words(text)).encode()) == shown


@given(
    st.lists(st.one_of(st.binary(max_size=4), st.sampled_from([b"<", b">", b"@", b'"', b"a", b"b.test", b"[127.0.0.1]"]))).map(
        b"".join
    )
)
def test_a_path_is_an_address_or_refused_and_never_more(octets: bytes) -> None:
    for parse in (parse_reverse_path, parse_forward_path):
        for smtputf8 in (False, True):
            try:
                path, rest = parse(octets, smtputf8=smtputf8)
            except AddressSyntaxError:
                continue
            assert octets.endswith(rest)
            if path.address is not None and path.address.domain:
                assert parse_mailbox(str(path.address)) == path.address
                assert smtputf8 or path.address.is_ascii


@given(st.binary(max_size=200))
def test_an_address_list_never_raises(value: bytes) -> None:
    for mailbox in read_address_list(value).mailboxes:
        assert mailbox.raw in value


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), max_size=3))
def test_t_ar_02_authentication_results_are_one_field(results: list[tuple[str, str, str, str]]) -> None:
    made = [AuthResult(method, result, (("smtp.mailfrom", value),), reason or None) for method, result, value, reason in results]
    made.append(AuthResult("spf", "pass", (("smtp.mailfrom", "x"),), "y"))
    written = authentication_results("mx.example.org", made).encode("ascii")
    assert len(split_header(written)[0]) == 1
    assert FieldView.of(written).name == "Authentication-Results"
