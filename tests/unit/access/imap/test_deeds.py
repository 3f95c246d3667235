"""The log's answer to "who deleted my mail": one line for each command that takes messages out of a mailbox (RFC 3501, 4315, 6851, 8508)."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from support.sharing import BOX, MAIL, Town, sessions, work

SHARED = "Other Users/alice@example.test/Work"
NEW = f"{{{len(MAIL)}+}}\r\n{MAIL.decode()}"


def _told(logs: list[Any]) -> list[dict[str, Any]]:
    return [line for line in logs if line["event"] == "messages expunged"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("EXPUNGE", {"messages": 1}),
        ("CLOSE", {"messages": 1}),
        ("UID EXPUNGE 1:2", {"messages": 1}),
        ("MOVE 1:2 Trash", {"messages": 2, "to": "Trash"}),
        ("UID MOVE 1:2 Trash", {"messages": 2, "to": "Trash"}),
        ("MOVE 1:2 INBOX", {"messages": 2, "to": "INBOX"}),
        (f"MOVE 1:2 {BOX}", {"messages": 2, "to": SHARED}),
        (f"REPLACE 2 INBOX {NEW}", {"messages": 1, "to": "INBOX"}),
        (f"REPLACE 2 {BOX} {NEW}", {"messages": 1, "to": SHARED}),
        ("COPY 1:2 Trash", None),
        ("UNSELECT", None),
        ("MOVE 1:2 Nowhere", None),
    ],
)
async def test_what_a_command_took_out_of_ones_own_mailbox(town: Town, command: str, expected: dict[str, Any] | None) -> None:
    work(town, "lrswite")
    async with sessions(town, "bob") as (bob,):
        await bob.append("INBOX", MAIL)
        await bob.append("INBOX", MAIL, "(\\Deleted) ")
        await bob.ok("SELECT INBOX")
        with capture_logs() as logs:
            await bob.command(command)
        found = _told(logs)
        who = {"account": town.ids["bob"], "user": "bob@example.test", "peer": "192.0.2.1", "mailbox": "INBOX"}
        values = {"event": "messages expunged", "log_level": "info"}
        assert found == ([] if expected is None else [{**values, **who, **expected}])
        assert bob.session.tallies["expunged"] == (0 if expected is None else expected["messages"])


@pytest.mark.parametrize(("command", "messages"), [("EXPUNGE", 1), ("MOVE 1:2 INBOX", 2), (f"REPLACE 1 INBOX {NEW}", 1)])
async def test_what_a_command_took_out_of_somebody_elses_mailbox(town: Town, command: str, messages: int) -> None:
    work(town, "lrswite")
    async with sessions(town, "bob") as (bob,):
        await bob.ok(f"SELECT {BOX}")
        with capture_logs() as logs:
            await bob.ok(command)
    [line] = _told(logs)
    assert (line["user"], line["account"]) == ("bob@example.test", town.ids["bob"]), "who did it, not whose mailbox it is"
    assert (line["mailbox"], line["messages"]) == (SHARED, messages)
