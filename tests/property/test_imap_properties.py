"""What IMAP says of any message keeps to the grammar, and what it says of a part is what a section of it gives."""

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats import imap
from mailward.formats.message import MessageView
from mailward.formats.sections import SectionKind, section, section_span
from support.imap_data import parse_imap
from support.imap_structure import numbered, parts_of

LINES = st.sampled_from(
    [
        *(
            b"",
            b"",
            b"--a",
            b"--a",
            b"--b",
            b"--a--",
            b"--b--",
            b"--ab",
            b"--",
            b" folded",
            b"text",
            b"caf\xc3\xa9 \xff\0\r",
            b"(",
        ),
        *(
            b"Content-Type: multipart/mixed; boundary=a",
            b"Content-Type: multipart/digest; boundary=b",
            b"Content-Type: text/html",
        ),
        *(
            b"Content-Type: multipart/mixed",
            b"Content-Type: multipart/x; boundary=",
            b"Content-Type: x",
            b"Content-Type: MESSAGE/RFC822",
        ),
        *(b"Content-Type: message/rfc822", b"Content-Type: message/global", b"Content-Transfer-Encoding: base64"),
        *(
            b"Content-Type: text/plain; x*0=a; x*1*=%41; y=\xe9; z",
            b"Content-Disposition: a; b*1=c; b*0=d",
            b"Content-Language: a, b",
        ),
        *(b"From: a@b, \xff <c@d>, Team: e@f;, (", b"To: Nobody:;", b"Sender:", b"Subject: =?utf-8?q?=00?=", b"Date: \x01\xc3"),
    ]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\n"])
MAIL = st.lists(st.tuples(LINES, ENDS), max_size=40).map(lambda lines: b"".join(line + end for line, end in lines)) | st.binary()
OF_A_MESSAGE: tuple[SectionKind, ...] = ("HEADER", "TEXT")


@given(MAIL)
def test_t_imap_11_any_octets_have_answers_of_the_grammar(octets: bytes) -> None:
    view = MessageView(octets)
    envelope, body, structure = imap.envelope(view), imap.body(view), imap.bodystructure(view)
    assert all(made.isascii() and b"\0" not in made for made in (envelope, body, structure))
    (listed,) = parse_imap(envelope)
    assert isinstance(listed, list)
    assert len(listed) == 10
    full = numbered(parse_imap(structure)[0], extended=True)
    short = numbered(parse_imap(body)[0], extended=False)
    assert {n: {k: v for k, v in items.items() if k in short[n]} for n, items in full.items()} == short
    assert all(items["encoding"] for items in full.values() if "encoding" in items)


@given(MAIL)
def test_sections_are_what_the_structure_says(octets: bytes) -> None:
    view = MessageView(octets)
    structure = numbered(parse_imap(imap.bodystructure(view))[0], extended=True)
    for number, is_message in parts_of(structure):
        path = tuple(map(int, number.split(".")))
        whole, header = section_span(view, path, ""), section_span(view, path, "MIME")
        assert whole is not None
        assert header is not None
        assert header[0] <= header[1] == whole[0] <= whole[1] <= len(octets)
        if structure[number]["type"] != b"multipart":
            assert structure[number]["size"] == whole[1] - whole[0]
        if "lines" in structure[number]:
            assert structure[number]["lines"] == section(view, path, "").count(b"\n")
        spans = [section_span(view, path, kind) for kind in OF_A_MESSAGE]
        assert spans == [None, None] if not is_message else None not in spans
        if is_message:
            assert b"".join(section(view, path, kind) for kind in OF_A_MESSAGE) == section(view, path, "")


@given(MAIL, st.sets(st.sampled_from(["From", "SUBJECT", "content-type", "caf", "("])))
def test_fields_and_all_but_these_are_the_header(octets: bytes, names: set[str]) -> None:
    view = MessageView(octets)
    assert section(view, (), "HEADER") + section(view, (), "TEXT") == octets
    chosen = section(view, (), "HEADER.FIELDS", names)
    others = section(view, (), "HEADER.FIELDS.NOT", names)
    header = section(view, (), "HEADER")
    blank = (
        b"\r\n"
        if header.endswith(b"\n\r\n") or header == b"\r\n"
        else b"\n"
        if header.endswith(b"\n\n") or header == b"\n"
        else b""
    )
    assert len(chosen) + len(others) == len(header) + len(blank)
    assert chosen.endswith(blank)
    assert others.endswith(blank)
