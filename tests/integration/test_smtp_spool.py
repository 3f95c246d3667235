"""What smtplib was told 250 for is in the real spool, octet for octet, small and large; what it was not is not."""

import smtplib
from dataclasses import replace
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.net.smtp_connection import SmtpSettings
from mailward.queue.spool import Spool
from support.smtp_reception import post
from support.smtp_service import running

SMALL = b"Subject: small\r\n\r\nhello\r\n"
LARGE = b"Subject: large\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * 60_000


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_messages_answered_250_are_in_the_spool(tmp_path: Path, loop_name: str) -> None:
    desk = post(tmp_path)
    spool = Spool(tmp_path / "spool", Disk(), owner="smtp1")
    desk.desk = replace(desk.desk, spool=spool)
    ids = []
    with running(desk, loop_name=loop_name, settings=SmtpSettings(hostname="mx.example.org")) as service:
        with smtplib.SMTP("127.0.0.1", service.port) as client:
            client.ehlo()
            for message in (SMALL, LARGE, b"REJECT\r\n", SMALL):
                client.mail("a@example.net")
                client.rcpt("alice@example.org")
                code, text = client.data(message)
                assert code == (554 if message.startswith(b"REJECT") else 250)
                ids += [text.decode().rpartition(" ")[2]] if code == 250 else []
        assert [item.id for item in desk.told] == ids
        assert [bytes(spool.octets(item.id)) for item in desk.told] == [SMALL, LARGE, SMALL]
        assert spool.ids() == ids
        service.run(spool.close())
