"""The byte sequences that real servers took for the end of data, over a real socket (T-SMTP-01 to 06)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.net.smtp_connection import SmtpSettings
from support.corpora import corpus
from support.doors import LISTENERS, Doors, doors
from support.smtp_reception import Post, post
from support.smtp_service import Service, read_all, read_reply, running, say

SEQUENCES = json.loads((corpus("smtp") / "smuggling-sequences.json").read_text())
LOOK_ALIKES = {bytes.fromhex(row["hex"]): row["name"] for row in SEQUENCES["inbound"] + SEQUENCES["outbound"]}
SMUGGLED = b"MAIL FROM:<ceo@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"


@pytest.fixture
def desk(tmp_path: Path) -> Post:
    return post(tmp_path)


@pytest.fixture(params=["asyncio", "uvloop"])
def service(request: pytest.FixtureRequest, desk: Post) -> Iterator[Service]:
    with running(desk, loop_name=request.param, settings=SmtpSettings(hostname="mx.example.org")) as started:
        yield started


@pytest.mark.parametrize("sequence", LOOK_ALIKES, ids=LOOK_ALIKES.get)
def test_t_smtp_01_06_no_look_alike_ends_a_message_and_nothing_behind_it_is_run(
    service: Service, desk: Post, sequence: bytes
) -> None:
    with service.connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA")
        client.sendall(b"Subject: first\r\n\r\nhello" + sequence + SMUGGLED)
        answers = read_all(client).splitlines()
    assert len(answers) == 1 and answers[0][:9] in ("550 5.5.2", "554 5.6.0")
    assert desk.spool.items == []
    assert not any("ceo@" in seen for seen in desk.judge.seen)


def test_the_valid_end_of_data_is_one(service: Service, desk: Post) -> None:
    with service.connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA")
        client.sendall(b"Subject: first\r\n\r\nhello" + bytes.fromhex(SEQUENCES["valid_end_of_data"]))
        assert read_reply(client).startswith("250")
    assert desk.spool.items[0][1].endswith(b"hello\r\n")


@pytest.fixture(scope="module")
def every_door() -> Iterator[Doors]:
    with doors("version: 1\nplugins: {}\n") as made:
        yield made


@pytest.mark.parametrize("listener", LISTENERS)
def test_t_smtp_01_06_10_by_no_listener_comes_one_message_more_than_was_sent(every_door: Doors, listener: str) -> None:
    sender, demo = every_door.sender(listener), every_door.target.demo
    envelope = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{demo}>\r\nDATA\r\n".encode()
    sent = []
    for number, sequence in enumerate(LOOK_ALIKES):
        with every_door.entered(listener) as client:
            sent.append(f"{listener} {number}")
            every_door.send(client, listener, sent[-1])
            say(client, *envelope.decode().split("\r\n")[:-1])
            head = f"From: {sender}\r\nSubject: ".encode()
            client.sendall(head + b"first\r\n\r\nhello" + sequence + envelope + head + b"smuggled\r\n\r\nx\r\n.\r\n")
            answers = read_all(client).splitlines()
        assert len(answers) == 1 and answers[0][:9] in ("550 5.5.2", "554 5.6.0"), LOOK_ALIKES[sequence]
    others = tuple(f"{other} " for other in LISTENERS if other != listener)
    assert sorted(subject for subject in every_door.subjects() if not subject.startswith(others)) == sorted(sent)
