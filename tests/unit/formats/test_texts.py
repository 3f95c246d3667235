"""The parts that people read: text, charsets and links (T-MIME-26, T-MIME-27)."""

import base64
import mmap
import tempfile
import time

import pytest

from mailward.api import Link, MessageView, TextPart
from mailward.formats.budgets import HTML_CHARACTERS, LINKS, TEXT_OCTETS

FROM = b"From: a@x.test\r\n"


def message(content_type: str, body: bytes, encoding: str = "8bit") -> MessageView:
    head = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return MessageView(FROM + head.encode() + body)


def only(view: MessageView) -> TextPart:
    (text,) = view.texts()
    return text


def alternatives(*parts: tuple[str, str]) -> MessageView:
    body = "".join(f"--b\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts)
    return message("multipart/alternative; boundary=b", f"{body}--b--\r\n".encode(), "7bit")


def test_plain_text_and_its_links() -> None:
    found = only(
        message("text/plain; charset=koi8-r", "\u0433\u0440\u0430\u043c\u043e\u0442\u0430 https://e.example/x.".encode("koi8-r"))
    )
    assert found.text == found.source == "\u0433\u0440\u0430\u043c\u043e\u0442\u0430 https://e.example/x."
    assert found.charsets == ("koi8-r",) and not found.is_html
    assert found.links == (Link("https://e.example/x", "https://e.example/x", "written"),)


def test_html_gives_text_and_links() -> None:
    found = only(message("text/html", b"<p>Go <a href=https://e.example>https://f.example</a><img src=//g.example/i>"))
    assert found.is_html and found.text == "Go https://f.example" and found.source.startswith("<p>")
    assert [(link.kind, link.host, link.shown_host) for link in found.links] == [
        ("followed", "e.example", "f.example"),
        ("loaded", "g.example", ""),
    ]


def test_flowed_text_is_joined_only_where_it_is_declared() -> None:
    assert only(message("text/plain; format=Flowed", b"see https://e.\r\none \r\ntwo")).text == "see https://e.\none two"
    assert (
        only(message("text/plain; format=flowed; delsp=yes", b"https://e.example/ \r\nx")).links[0].url == "https://e.example/x"
    )
    assert only(message("text/plain", b"one \r\ntwo")).text == "one \r\ntwo"
    assert only(message("text/html; format=flowed", b"one \r\n>two")).text == "one\n>two"


@pytest.mark.parametrize(
    ("content_type", "body", "seen"),
    [
        ("text/html; charset=utf-7", b"+ADw-script+AD4-x", "+ADw-script+AD4-x"),
        ("text/html", "<i>x".encode("utf-16-le"), "x"),
        (
            "text/html; charset=utf-8",
            b"\xc0\xbca href=https://e.example\xc0\xbe",
            "\ufffd\ufffda href=https://e.example\ufffd\ufffd",
        ),
        ("text/plain; charset=us-ascii", b"a\x1b$B\x1b(Bb", "a\x1b$B\x1b(Bb"),
        ('text/html; charset="us-ascii"', b"<meta charset=utf-7>+ADw-", "+ADw-"),
    ],
)
def test_t_mime_26_a_text_that_says_something_else_in_another_charset(content_type: str, body: bytes, seen: str) -> None:
    view = message(content_type, base64.encodebytes(body), "base64")
    assert only(view).text == seen
    assert "AMBIGUOUS_CHARSET" in view.anomalies


def test_t_mime_26_every_reading_is_there_for_a_scanner() -> None:
    found = only(message("text/html; charset=utf-8", b"\xc0\xbcscript\xc0\xbe"))
    assert next(iter(found.sources())) == found.source
    assert "<script>" in list(found.sources())
    found = only(message("text/html; charset=koi8-r", b"<meta charset=windows-1251>\xef"))
    assert [source[-1] for source in found.sources()] == ["\u041e", "\u043f"]
    assert list(only(message("text/plain", b"x")).sources()) == ["x"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"plain"),
        ("text/plain; charset=iso-8859-1", b"caf\xe9"),
        ("text/plain; charset=utf-8", b"caf\xe9"),
        ("text/html; charset=utf-8", b"<meta charset=iso-8859-1>caf\xc3\xa9"),
        ("text/plain; charset=iso-2022-jp", "\u65e5\u672c".encode("iso-2022-jp")),
        ("text/plain; charset=x-unknown", b"plain"),
    ],
)
def test_ordinary_text_has_no_anomaly(content_type: str, body: bytes) -> None:
    assert message(content_type, body).anomalies == ()


def test_t_mime_27_every_alternative_is_read() -> None:
    view = alternatives(
        ("text/plain", "Nothing to see: https://good.example"),
        ("text/html", "<a href=https://evil.example>see</a>"),
        ("text/html", "<form action=https://worse.example>"),
    )
    assert [part.text for part in view.texts()][1] == "see"
    assert [link.host for link in view.links()] == ["good.example", "evil.example", "worse.example"]
    many = alternatives(*(("text/html", f"<a href=https://e.example/{n}>x</a>") for n in range(100)))
    assert len(list(many.texts())) == len(list(many.links())) == 100


def test_t_mime_27_related_without_a_root_is_read_too() -> None:
    body = b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n<a href=https://e.example>x</a>\r\n--b--\r\n"
    view = message('multipart/related; boundary=b; start="<none>"', body, "7bit")
    assert [link.url for link in view.links()] == ["https://e.example"]


def test_links_of_all_parts_count_together_and_once() -> None:
    half = LINKS // 2 + 1
    same = [("text/plain", " ".join(f"https://e.example/{n}" for n in range(half)))] * 3
    assert "TOO_MANY_LINKS" not in alternatives(*same).anomalies
    view = alternatives(*same, ("text/html", "".join(f"<img src=https://e.example/{n}>" for n in range(half))))
    assert "TOO_MANY_LINKS" in view.anomalies and len(list(view.links())) == LINKS
    script = alternatives(("text/html", "<script>" + "".join(f"x.src='https://e.example/{n}';" for n in range(LINKS + 1))))
    assert "TOO_MANY_LINKS" in script.anomalies
    one = alternatives(("text/html", "".join(f"<a href=https://e.example/{n}>x</a>" for n in range(LINKS + 1))))
    assert "TOO_MANY_LINKS" in one.anomalies and len(only(one).links) == LINKS


@pytest.mark.parametrize(
    ("content_type", "octets"), [("text/plain", TEXT_OCTETS), ("text/html", HTML_CHARACTERS)], ids=["plain", "html"]
)
def test_a_text_beyond_its_budget_is_cut_and_says_so(content_type: str, octets: int) -> None:
    within = message(content_type, b"x" * octets)
    assert "TEXT_TOO_BIG" not in within.anomalies and len(only(within).text) == octets
    beyond = message(content_type, b"x" * octets + b"END")
    assert "TEXT_TOO_BIG" in beyond.anomalies and len(only(beyond).text) == octets


def test_of_a_text_in_a_file_only_the_budget_is_read() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(FROM + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        file.truncate(400 * 1024 * 1024)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            begun = time.process_time()
            assert len(only(MessageView(mapped)).text) <= TEXT_OCTETS
            assert time.process_time() - begun < 5


def test_t_hdr_24_links_of_list_fields_are_named_as_such() -> None:
    view = MessageView(b"List-Unsubscribe: <https://lists.example/u>, <mailto:u@lists.example>\r\n\r\nhttps://e.example/x\r\n")
    assert [(link.kind, link.host) for link in view.links()] == [
        ("written", "e.example"), ("listed", "lists.example"), ("listed", "lists.example"),
    ]  # fmt: skip
