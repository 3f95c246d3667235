"""Names of attachments: T-MIME-23 to T-MIME-25, RFC 2183, RFC 2231."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.filenames import HOLDING, RUNNING, UNNAMED, extension_of, filenames, safest, sanitised
from mailward.formats.parameters import parse_parameterised

NOTHING = parse_parameterised(b"")


def _names(parameters: bytes) -> tuple[str, ...]:
    return filenames(parse_parameterised(b"attachment; " + parameters), NOTHING)


def test_t_mime_23_names_of_both_fields_the_disposition_first() -> None:
    disposition = parse_parameterised(b'attachment; filename="a.txt"; name=c.js')
    content_type = parse_parameterised(b"application/octet-stream; name=b.exe; filename=a.txt")
    assert filenames(disposition, content_type) == ("a.txt", "b.exe", "c.js")
    assert filenames(NOTHING, NOTHING) == ()


@pytest.mark.parametrize(
    ("parameters", "first", "others"),
    [
        (b"filename=a.txt; filename*=utf-8''b.exe", "b.exe", {"a.txt"}),
        (b"filename*=utf-8''b.exe; filename=a.txt", "b.exe", {"a.txt"}),
        (b"filename=a.txt; filename=b.exe", "a.txt", {"b.exe"}),
        (b"filename*1=exe; filename*0=b.", "b.exe", set()),
        (b"filename*0=b.; filename*2=exe", "b.exe", {"b."}),
        (b"filename*1=b.; filename*0=exe", "exeb.", {"b.exe"}),
        (b"filename*0=a.txt; filename*0=b.exe", "a.txt", {"b.exe"}),
        (b"filename*0*=utf-8''b.; filename*1*=%65%78%65", "b.exe", set()),
        (b"filename*0=b.; filename*1=%65%78%65", "b.%65%78%65", {"b.exe"}),
        (b"filename*=utf-8'en-GB-oed'b.exe", "b.exe", set()),
        (b"filename*=utf-16''%00b%00.%00e%00x%00e", "b.exe", set()),
        (b'filename="=?utf-8?Q?b=2Eexe?="', "b.exe", set()),
        (b"filename==?utf-8?B?Yi5leGU=?=", "b.exe", set()),
        (b'filename="=?utf-16?B?YgAuAGUAeABlAA==?="', "=?utf-16?B?YgAuAGUAeABlAA==?=", {"b.exe"}),
        (b"filename=b%2E%65xe", "b%2E%65xe", {"b.exe"}),
        (b'filename="b".exe', "b.exe", {"b"}),
        (b'filename="b".exe"', 'b.exe"', {"b.exe"}),
        (b"filename='b.exe'", "'b.exe'", {"b.exe"}),
        (b"filename=b.exe(.gif)", "b.exe", {"b.exe(.gif)"}),
        (b"filename=b.e(.gif)xe", "b.e", {"b.exe", "b.e(.gif)xe"}),
        (b"filename=b\\;.exe", "b\\", {"b;.exe"}),
        (b'filename="b;.exe"', "b;.exe", set()),
        (b"filename=b.exe\0.txt", "b.exe.txt", {"b.exe"}),
        (b'filename=""; name=b.exe', "b.exe", set()),
        (b"filename=my report.exe", "my report.exe", {"my"}),
        (b"filename", "", set()),
    ],
)
def test_t_mime_23_every_name_that_some_client_shows(parameters: bytes, first: str, others: set[str]) -> None:
    names = _names(parameters)
    assert (names[0] if names else "") == first
    assert others <= set(names[1:])


def test_a_name_by_the_book_has_one_reading() -> None:
    assert _names(b'filename="Offer (final), part 1.pdf"') == ("Offer (final), part 1.pdf",)
    assert _names(b"filename*=utf-8''%e2%82%ac%20rates.pdf") == ("\u20ac rates.pdf",)
    assert _names(b"filename*=koi8-r''%C6%C1%CA%CC.doc") == ("\u0444\u0430\u0439\u043b.doc",)
    assert _names(b'filename*0="a.p"; filename*1="df"') == ("a.pdf",)


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.pdf", "pdf"),
        ("a.pdf.EXE", "exe"),
        ("a.exe.", "exe"),
        ("a.exe . \t", "exe"),
        ("a.exe\u00a0\u3000", "exe"),
        ("a.exe::$DATA", "exe"),
        ("a.exe:", "exe"),
        ('a.exe"', "exe"),
        ("a\u202etxt.scr", "scr"),
        ("a.e\u200bxe", "exe"),
        ("a.exe\u202c", "exe"),
        ("a.exe\u3164", "exe"),
        ("a" * 290 + ".exe", "exe"),
        ("a.pdf" + " " * 200 + ".exe", "exe"),
        ("x.library-ms", "library-ms"),
        ("a", ""),
        ("", ""),
        ("...", ""),
        ("Mr. Smith", ""),
    ],
)
def test_t_mime_24_the_extension_that_counts(name: str, extension: str) -> None:
    assert extension_of(name) == extension
    if extension:
        assert extension_of(sanitised(name)) == extension


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Offer \u2013 final.pdf", "Offer \u2013 final.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/etc/x.sh", "x.sh"),
        ("C:\\Users\\x.exe", "x.exe"),
        ("C:x.exe", "C x.exe"),
        ("a/", "a"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1.pdf", "_com1.pdf"),
        ("console.pdf", "console.pdf"),
        ("-rf", "_-rf"),
        (".htaccess", "_.htaccess"),
        ("a\r\nb.txt", "ab.txt"),
        ("a\0b.txt", "ab.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a.pdf" + " " * 100 + ".exe", "a.pdf .exe"),
        ('a<b>"c"|d?e*.txt', "a b c d e .txt"),
        ("", UNNAMED),
        ("..", UNNAMED),
        (" / ", UNNAMED),
        ("\u202e\u200b", UNNAMED),
        ("a" * 290 + ".exe", "a" * 196 + ".exe"),
        ("\u20ac" * 100 + ".pdf", "\u20ac" * 65 + ".pdf"),
    ],
)
def test_t_mime_25_a_name_is_no_path_and_hides_nothing(name: str, shown: str) -> None:
    assert sanitised(name) == shown


@given(st.text(st.sampled_from("ab.e/\\: \u202e\u200b\0-~*CON\u20ac\ud800\t"), max_size=40) | st.text(max_size=300))
def test_t_mime_25_whatever_the_name(name: str) -> None:
    shown = sanitised(name)
    assert shown
    assert len(shown.encode()) <= 200
    assert not set(shown) & set('/\\:*?"<>|\0\r\n\t\u202e')
    assert shown[0] not in ".-~ "
    assert shown[-1] not in ". "
    assert sanitised(shown) == shown
    assert extension_of(shown) == extension_of(name)


def test_t_mime_23_the_worst_name_is_shown() -> None:
    assert safest(["a.png", "../b.EXE", "c.zip"]) == "b.EXE"
    assert safest(["a.png", "c.zip"]) == "c.zip"
    assert safest(["letter", "a.png", "b.png"]) == "a.png"
    assert safest([]) is None
    assert not RUNNING & HOLDING


@pytest.mark.parametrize("piece", [" ", ".", "/", "\u200b", "::", "a.", "\u3164", "\ud800"])
def test_t_mime_24_work_grows_no_faster_than_the_name(piece: str) -> None:
    def took(count: int) -> float:
        started = time.process_time()
        sanitised(piece * count + "x")
        extension_of(piece * count + "x")
        return time.process_time() - started

    took(100)
    assert took(64_000) < 40 * took(6400) + 0.05
