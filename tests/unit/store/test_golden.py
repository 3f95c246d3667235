"""What is made of a message is kept for years: this pins it to its number, so that whoever changes the one raises the other.

When a test here fails, the same mail gives something else than it gave the release before. If that is meant, raise the number that it
names, so that accounts are brought up to date, and pin the new digest.
"""

import hashlib
from collections.abc import Callable
from dataclasses import astuple

from mailward.formats.message import MessageView
from mailward.formats.searched import folded, searched_texts
from mailward.store import textmarks
from mailward.store.rendered import RENDERING, render
from support.sample_mail import header, mixed, plain

_PARTS = b"""From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>, a group: b@example.net;
To: "B, \\"C\\"" <b.c@example.org>
Subject: Re: [list] =?iso-8859-1?q?Gr=FC=DFe?= (fwd)
Date: Thu, 1 Jan 1998 10:00:00 -0500 (EST)
Message-ID: <1@example.com>
References: <0@example.com> junk
 <"quoted id"@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: quoted-printable
Content-Language: de, en

Stra=C3=9Fe =E6=BC=A2=E5=AD=97 one =
line
--c
Content-Type: text/html

<p>Stra&szlig;e <b>bold</b> <style>p {}</style>text</p>
--c--
--b
Content-Type: application/octet-stream; name*=utf-8''f%C3%BCr.bin
Content-Disposition: attachment; filename="x.bin"
Content-Transfer-Encoding: base64

AAECAw==
--b
Content-Type: text/calendar; charset=utf-8
Content-Transfer-Encoding: base64

QkVHSU46VkNBTEVOREFSDQpTVU1NQVJZOkdyw7zDn2UNCkVORDpWQ0FMRU5EQVINCg==
--b
Content-Type: message/rfc822

From: inner@example.net
Subject: inside

inner text
--b--
"""
_MAIL = (
    *(plain(2000), mixed(20_000), header(3)),
    *(_PARTS.replace(b"\n", b"\r\n"), _PARTS),
    *(b"", b"no header at all", b"Subject: \xff\xfe\r\nbroken line\r\n\r\n\x00\r\n"),
    b"In-Reply-To: <a@b> <c@d>\r\nDate: soon\r\nFrom: nobody\r\n\r\ntext\r\n",
)


def _digest(of: Callable[[bytes], object]) -> str:
    return hashlib.sha256("\n".join(repr(of(octets)) for octets in _MAIL).encode()).hexdigest()[:16]


def test_what_fetch_sort_and_thread_tell_has_the_number_of_its_form() -> None:
    made = _digest(lambda octets: astuple(render(octets, 1_800_000_000, 7)))
    assert {RENDERING: made} == {4: "76694f8e278104a3"}, "raise store.rendered.RENDERING, then pin the new digest"


def test_the_mail_has_every_kind_of_text_that_is_searched() -> None:
    """As a person reads it, as it stands, a calendar, a part's header: one that is missing could be made otherwise unseen."""
    found = "\n".join(searched_texts(MessageView(_PARTS)))
    for text in ("Straße bold text", "<b>bold</b>", "SUMMARY:Grüße", "Content-Language: de, en"):
        assert folded(text) in found, text


def test_the_marks_of_texts_have_the_number_of_their_form() -> None:
    made = _digest(lambda octets: (texts := [*searched_texts(MessageView(octets))], textmarks._filter(texts)))
    assert {textmarks.VERSION: made} == {2: "096f3ea526ab285f"}, "raise store.textmarks.VERSION, then pin the new digest"
