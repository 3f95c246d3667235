"""A record as `explain` and `scan` print it: which line is of which call."""

from mailward.cli.decisions import record_as_text
from mailward.model.decision import DecisionRecord
from mailward.model.evidence import HookCall, StoredFinding
from mailward.model.ids import QueueId


def lines(*calls: HookCall) -> list[str]:
    record = DecisionRecord(
        id=QueueId("x"), received_at="2026-11-28T10:00:00Z", direction="inbound", reverse_path="", size_octets=1, calls=calls
    )
    return [" ".join(line.split()) for line in record_as_text(record).splitlines()[1 : len(calls) + 1]]


def call(plugin: str, hook: str, *texts: str, status: str = "ok") -> HookCall:
    findings = tuple(StoredFinding(plugin, "SEEN", text, points=1.0) for text in texts)
    return HookCall(plugin, "1", hook, "", 0.2, status, findings=findings)


def test_lines_of_a_plugin_that_looks_more_than_once_name_the_hook() -> None:
    assert lines(
        call("client", "inspect_connect"),
        call("client", "inspect_helo", "no such name"),
        call("client", "inspect_mail", status="skipped"),
    ) == [
        "client 0 ms - inspect_connect: nothing found",
        "client 0 ms SEEN +1.0 inspect_helo: no such name",
        "client 0 ms inspect_mail: skipped",
    ]


def test_lines_of_one_that_looks_once_do_not() -> None:
    assert lines(
        call("spf", "inspect_mail"), call("spam", "inspect_message", "reads like spam"), call("spam", "edit_message")
    ) == [
        "spf 0 ms - nothing found",
        "spam 0 ms SEEN +1.0 reads like spam",
        "spam 0 ms - edit_message",
    ]
