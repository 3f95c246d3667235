"""The first words of a message (RFC 8970)."""

import pytest

from mailward.formats.message import MessageView
from mailward.formats.preview import CHARACTERS, preview

HTML = b"Content-Type: text/html\r\n\r\n"


def alternative(plain: bytes, html: bytes) -> bytes:
    return (
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n\r\n'
        + plain
        + b"\r\n--b\r\n"
        + HTML
        + html
        + b"\r\n--b--\r\n"
    )


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        pytest.param(b"Subject: x\r\n\r\nHello  there,\r\n\r\n\tAnn\r\n", "Hello there, Ann", id="one line"),
        pytest.param(b"Subject: x\r\n\r\n", "", id="no text"),
        pytest.param(b"\r\n> old\r\n>> older\r\nnew\r\n-- \r\nAnn\r\n", "new", id="without quotes and signature"),
        pytest.param(b"\r\n> old\r\n", "> old", id="nothing but a quote"),
        pytest.param(HTML + b"<style>p {}</style><p>Dear <b>Bob</b></p><script>x()</script>", "Dear Bob", id="HTML"),
        pytest.param(alternative(b"plain", b"<p>rich</p>"), "plain", id="the plain alternative"),
        pytest.param(alternative(b" \r\n", b"<p>rich</p>"), "rich", id="the one with text"),
        pytest.param(b"Content-Disposition: attachment\r\n\r\nnotes\r\n", "", id="an attachment"),
        pytest.param(b"Content-Type: image/png\r\n\r\nnotes\r\n", "", id="a picture"),
        pytest.param(b"\r\na\x00b\x1b[31mc\r\n", "a b [31mc", id="no control character"),
        pytest.param(
            "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\u00fc\u00dfe \u202eevil\r\n".encode(),
            "Gr\u00fc\u00dfe evil",
            id="UTF-8",
        ),
        pytest.param(b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n", "hello", id="base64"),
        pytest.param(b"\r\n" + b"x" * 500, "x" * CHARACTERS, id="cut"),
    ],
)
def test_preview(octets: bytes, expected: str) -> None:
    assert preview(MessageView(octets)) == expected


def test_of_a_large_text_the_start_is_read() -> None:
    octets = b"Content-Type: text/html\r\n\r\n<p>Dear Bob</p>" + b"<i>x</i>" * 1_000_000
    assert preview(MessageView(octets)).startswith("Dear Bob")
