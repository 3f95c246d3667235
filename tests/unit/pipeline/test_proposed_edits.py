"""What a filter proposes is what is delivered: from its hook through the queue item to the mailbox."""

from dataclasses import replace

from mailward.delivery.mda import Copy
from mailward.formats.message import MessageView
from mailward.queue.item import QueueItem
from mailward.testing import Scan
from support.plugin_modules import plugin_module
from support.spooling import item_for

MAIL = (
    b"Reply-To: first@example.net\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nreply-to: second@example.net\r\nX-Mailer: x\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n"
    b"--out\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
    b"--in\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--in\r\nContent-Type: text/html\r\nContent-ID: <h@example.net>\r\n\r\n<p>hello <img src=http://t.example/1>\r\n--in--\r\n"
    b"--out\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--out--\r\n"
)
CLEANER = """
@hookimpl
def edit_message(message):
    for part in message.parts():
        if part.content_type == "text/html":
            html = part.text.replace("http://t.example/1", "about:blank")
            yield ReplacePart(part.number, "text/html; charset=utf-8", html.encode())
        elif part.filename == "a.exe":
            yield ReplacePart(part.number, "text/plain; charset=utf-8", "a.exe was removed.\\n".encode(), disposition="inline")
    yield ReplaceHeader("Subject", "Re: " + message.subject)
    yield RemoveHeader("Reply-To", 1)
    yield RemoveHeader("X-Mailer")
    yield AddHeader("X-Cleaned", "yes")
"""


def test_fields_and_parts_that_a_filter_edits_are_delivered_so(scan: Scan) -> None:
    result = scan(MAIL, plugins=[plugin_module("cleaner", CLEANER)])
    assert (result.verdict, len(result.edits)) == ("accept", 6)
    item = QueueItem.from_json(replace(item_for(MAIL), edits=result.edits).to_json())
    delivered = Copy(item, 0, MAIL).render()
    on_top = b"Return-Path: <a@example.net>\r\n" + item.trace.encode()
    assert delivered == on_top + (
        b"X-Cleaned: yes\r\nReply-To: first@example.net\r\nSubject: =?utf-8?B?UmU6IEdyw7zDn2U=?=\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n"
        b"--out\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
        b"--in\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        b"--in\r\nContent-Type: text/html; charset=utf-8\r\nContent-ID: <h@example.net>\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>hello <img src=3Dabout:blank>\r\n--in--\r\n"
        b"--out\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\na.exe was removed.\r\n\r\n--out--\r\n"
    )
    assert [part.content_type for part in MessageView(delivered).parts()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/plain",
    ]


def test_a_part_that_is_not_there_fails_the_filter_before_the_mail_is_taken(scan: Scan) -> None:
    bad = plugin_module("bad", "@hookimpl\ndef edit_message():\n    return ReplacePart('3', 'text/plain', b'')\n")
    result = scan(MAIL, plugins=[bad])
    assert result.reply.startswith("451 4.3.0 ")
    assert "'3'" in (result.call("bad", "edit_message").error or "")
