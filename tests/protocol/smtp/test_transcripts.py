"""Dialogues in the RFCs' own C:/S: form, each run whole (a segment a group of C: lines) and octet by octet.

C: a line with its CRLF. C! octets with Python escapes, no CRLF. C* N text: N such lines. S: a line of a reply; "..." at its
end stands for any rest, and for any further lines after "250-...". M: a line of the message just taken; M! an empty message;
B: all of its octets with Python escapes. `tls`: the handshake happens here. `closed`: the machine wants the connection closed. `listener NAME`, at the top: mx unless given.
"""

import re
from pathlib import Path

import pytest

from support.smtp_machine import Client, machine


def _name(path: Path) -> str:
    """The file's, behind the threats that its first line names."""
    threats = re.findall(r"T-[A-Z]+-\d+", path.read_text(encoding="utf-8").partition("\n")[0])
    return "-".join([*(threat.lower().replace("-", "_") for threat in threats), path.stem])


TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("octet_by_octet", [False, True], ids=["whole", "octets"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=_name)
def test_transcript(path: Path, octet_by_octet: bool) -> None:
    client = Client(machine())
    segment = b""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, _, text = line.partition(" ")
        if segment and not kind.startswith("C"):
            client.send(segment, octet_by_octet=octet_by_octet)
            segment = b""
        match kind:
            case "#":
                continue
            case "listener":
                client = Client(machine(text))
            case "C:":
                segment += text.encode() + b"\r\n"
            case "C!":
                segment += text.encode().decode("unicode_escape").encode("latin-1")
            case "C*":
                count, _, repeated = text.partition(" ")
                segment += (repeated.encode() + b"\r\n") * int(count)
            case "S:":
                assert client.next_reply_matches(text), f"{path.name}:{number}: {line!r} expected, {client.replies!r} came"
            case "M:":
                head, _, client.messages[0] = client.messages[0].partition(b"\r\n")
                assert head == text.encode(), f"{path.name}:{number}"
                if not client.messages[0]:
                    client.messages.pop(0)
            case "M!":
                assert client.messages.pop(0) == b""
            case "B:":
                assert client.messages.pop(0) == text.encode().decode("unicode_escape").encode("latin-1")
            case "tls":
                client.shake_hands()
            case "closed":
                assert client.machine.is_closed
            case _:
                raise ValueError(f"{path.name}:{number}: {line!r}")
    assert not segment
    assert not client.replies
    assert not client.messages
