"""A filter that blocks the event loop costs connections and never a mail that was acknowledged; the log says which filter it was."""

import smtplib

from support.server import Server, server

FILTER = """\
import time
from mailward.api import Finding, MessageView, Plugin, Symbol, hookimpl
plugin = Plugin(api=1, summary="Stops everything", symbols={"SEEN": Symbol(0.0, "seen")}, capabilities=("body",))

@hookimpl
async def inspect_message(message: MessageView) -> Finding:
    if message.subject == "block":
        time.sleep(3600)
    return Finding("SEEN", "seen")
"""


def send(target: Server, subject: str) -> str:
    """The code of the reply to the message, "lost" when the connection ended before there was one."""
    try:
        with smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=60) as client:
            client.sendmail("a@example.net", target.demo, f"From: a@example.net\r\nSubject: {subject}\r\n\r\ntext\r\n")
    except smtplib.SMTPDataError as error:
        return str(error.smtp_code)
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        return "lost"
    return "250"


def test_t_plug_03_a_blocked_loop_loses_no_acknowledged_mail_and_its_filter_is_moved() -> None:
    with server(policy="version: 1\nplugins:\n  blocker: {timeout: 2s}\n", start=False) as target:
        (target.folder / "plugins/blocker.py").write_text(FILTER)
        target.start()
        acknowledged = []
        policy = target.folder / "policies/inbound.yaml"
        policy.write_text("this is: [not a policy")  # somebody edits it just now
        for attempt in ("first", "second"):
            for number in range(5):
                assert send(target, f"{attempt} {number}") == "250"
                acknowledged.append(f"{attempt} {number}")
            assert send(target, "block") == "lost"
        target.until(lambda: target.log_octets().count(b"filters moved") >= 4)  # the processes that take mail among them
        assert send(target, "block") == "451"
        assert send(target, "after") == "250"
        acknowledged.append("after")
        target.until(lambda: len(target.messages()) == len(acknowledged))
        log = target.log_octets().decode()
        assert log.count("plugin blocker") == 2, log
        assert "plugin moved to a process of its own" in log
