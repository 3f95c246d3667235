"""What do KMime, GMime and messages themselves state about contents? Decoded files, the same text in two charsets, Content-MD5."""

import base64
import hashlib
from collections.abc import Iterator

from mailward.formats.charsets import decode_charset
from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.transfer import other_decodings
from mailward.formats.words import printable
from support.corpora import corpus, corpus_members
from support.stated import Statement, opened

_ENCODINGS = ("base64", "quoted-printable")


def statements() -> Iterator[Statement]:
    yield from _kmime()
    yield from _gmime()
    yield from _digests()


def _kmime() -> Iterator[Statement]:
    """KMime: what its codecs decode. Of a Q or B encoding the payload is stated, here it is an encoded-word in latin-1."""
    members = corpus_members("mime", "kmime.tar.xz")
    for name, octets in members.items():
        encoding = name.rpartition(".")[2]
        expected = members.get(f"{name}.expected", b"")
        if encoding in _ENCODINGS:
            view = MessageView(b"Content-Transfer-Encoding: %b\r\n\r\n%b" % (encoding.encode(), octets))
            yield Statement(f"kmime/{name}", "decoded", expected, view.root.decode(), view)
        elif encoding in ("b", "q") and expected:
            word = f"=?iso-8859-1?{encoding}?{octets.decode()}?="
            view = MessageView(f"Subject: {word}\r\n\r\n".encode())
            yield Statement(f"kmime/{name}", "word", printable(decode_charset(expected, "latin-1")), view.subject, view)


def _gmime() -> Iterator[Statement]:
    """GMime: texts in an old charset and in UTF-8."""
    texts = {name.rpartition("/")[2]: octets for name, octets in corpus_members("mime", "gmime.tar.xz").items()}
    for name, octets in texts.items():
        stem, charset = name.removesuffix(".txt").partition(".")[::2]
        if name.endswith(".txt") and charset not in ("", "utf-8") and f"{stem}.utf-8.txt" in texts:
            header = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
            view = MessageView(header + octets)
            yield Statement(f"gmime/{name}", "text", decode_charset(texts[f"{stem}.utf-8.txt"], "utf-8"), view.root.text, view)


def _digests() -> Iterator[Statement]:
    """Any message: a part that states the digest of its content (RFC 1864)."""
    for archive in sorted(corpus("mime").glob("*.tar.xz")):
        for name, octets in corpus_members("mime", archive.name).items():
            if b"content-md5:" not in octets.lower():
                continue
            view = MessageView(octets)
            for place, part in opened(view).items():
                if (field := part.field("Content-MD5")) is not None:
                    digest = hashlib.md5(_content(part), usedforsecurity=False).digest()
                    fixture = f"content-md5/{archive.name.partition('.')[0]}/{name}"
                    yield Statement(fixture, f"[{place}] digest", field.text, base64.b64encode(digest).decode(), view)


def _content(part: PartView) -> bytes:
    """The content; of an encoding that is none of RFC 2045's, as those decode it who know it."""
    known = other_decodings(part.encoding) if part.encoding.startswith("x-") else ()
    return known[0].decode(part.body_octets) if known else part.decode()
