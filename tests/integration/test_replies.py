"""Replies in the admin's words on a running server: at each step, behind a reload, and with the id that explains them."""

import socket

from support.server import Server, server
from support.smtp_service import read_reply, say

POLICY = """\
version: 1
plugins: {}
replies:
  unknown_recipient: "Nobody here by that name"
  not_smtp: "Wrong door"
  unknown: "What was that?"
  mail_ok: "Go on"
  accepted: "Thank you"
"""


def dialogue(target: Server, *lines: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", target.port("mx")), 20) as client:
        read_reply(client)
        return [say(client, line).strip() for line in lines]


def test_the_admins_words_at_every_step() -> None:
    with server(policy=POLICY) as target:
        hello = "EHLO c.example.net"
        said = dialogue(target, hello, "RUBBISH", "MAIL FROM:<a@example.net>", "RCPT TO:<nobody@example.test>", "GET / HTTP/1.1")
        assert said[1:3] == ["500 5.5.1 What was that?", "250 2.1.0 Go on"]
        assert said[3].startswith("550 5.1.1 Nobody here by that name (id ") and said[4] == "421 4.7.0 Wrong door"
        assert "Nobody here by that name" in target.explain(said[3].partition("(id ")[2].rstrip(")"))
        assert target.send(b"Subject: x\r\n\r\nbody\r\n")[1].startswith("2.0.0 Thank you, id ")
        target.policy("version: 1\nplugins: {}\nreplies: {unknown: Pardon}\n")
        target.reload()
        assert dialogue(target, hello, "RUBBISH", "MAIL FROM:<a@example.net>")[1:] == ["500 5.5.1 Pardon", "250 2.1.0 OK"]
        target.policy("version: 1\nplugins: {}\nreplies: {unknwon: Pardon}\n")
        target.reload(expect="reload refused")
        assert dialogue(target, hello, "RUBBISH")[1] == "500 5.5.1 Pardon"
