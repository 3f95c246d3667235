"""What is kept is durable, kept once, and given back octet for octet."""

from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.quarantine import Held, Quarantine

OCTETS = b"Subject: x\r\n\r\n\x00\xff body\r\n"


def _held(number: int = 0) -> Held:
    return Held(
        f"a1:{number}", QueueId("a1"), number, "bob@example.org", "rule infected", "2026-11-02T10:00:00.000Z", len(OCTETS)
    )


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine", Disk())


def test_a_message_comes_back_octet_for_octet(quarantine: Quarantine) -> None:
    assert quarantine.add(_held(), OCTETS) is True
    assert quarantine.read("a1:0") == OCTETS
    assert quarantine.list() == (_held(),)


def test_a_delivery_done_again_changes_nothing(quarantine: Quarantine) -> None:
    quarantine.add(_held(), OCTETS)
    assert quarantine.add(_held(), b"other") is False
    assert quarantine.read("a1:0") == OCTETS


def test_recipients_of_one_message_are_kept_apart(quarantine: Quarantine) -> None:
    quarantine.add(_held(0), OCTETS)
    quarantine.add(_held(1), b"edited")
    assert quarantine.read("a1:1") == b"edited"
    assert len(quarantine.list()) == 2


def test_a_draft_left_by_a_crash_is_no_obstacle(quarantine: Quarantine, tmp_path: Path) -> None:
    (tmp_path / "quarantine/a1-0.new").write_bytes(b"half")
    assert quarantine.add(_held(), OCTETS) is True
    assert quarantine.read("a1:0") == OCTETS


def test_an_unknown_key_is_an_error(quarantine: Quarantine) -> None:
    with pytest.raises(StorageError, match="nothing is in quarantine"):
        quarantine.read("none")


def test_t_q_04_a_failed_sync_keeps_nothing(tmp_path: Path) -> None:
    class NoSync(Disk):
        def sync(self, fd: int) -> None:
            raise OSError(5, "Input/output error")

    quarantine = Quarantine(tmp_path / "quarantine", NoSync())
    with pytest.raises(StorageError, match="Input/output error"):
        quarantine.add(_held(), OCTETS)
    assert quarantine.list() == ()


def test_t_priv_04_nobody_else_can_read_it(quarantine: Quarantine, tmp_path: Path) -> None:
    quarantine.add(_held(), OCTETS)
    folder = tmp_path / "quarantine"
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
