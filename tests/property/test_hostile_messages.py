"""Messages made to cost time, memory or the stack, each named after its threat: read to the end, in time that grows as the size."""

import mmap
import time
import tracemalloc
from pathlib import Path

import pytest

from mailward.formats.message import MessageView
from support.hostile_mail import HOSTILE
from support.reading import check_offsets, read_everything
from support.sample_mail import header, prose

SMALL, LARGE = 60_000, 480_000
MAX_GROWTH = 3.0
"""How many times more than its share the larger message may take: with quadratic work it would be eight."""
NOISE_S = 0.03
MAX_S_PER_10_KB = 0.1


def _seconds(octets: bytes) -> float:
    """CPU seconds to read everything, the best of two runs."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        read_everything(octets)
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_message_takes_time_in_proportion_to_its_size(name: str) -> None:
    small, large = HOSTILE[name](SMALL), HOSTILE[name](LARGE)
    took_small, took_large = _seconds(small), _seconds(large)
    assert took_large < MAX_GROWTH * len(large) / len(small) * took_small + NOISE_S
    assert took_large < MAX_S_PER_10_KB * len(large) / 10_000


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.startswith(("t_mime_09", "t_mime_1", "t_mime_2"))])
def test_t_mime_22_offsets_of_hostile_messages_only_rise(name: str) -> None:
    check_offsets(MessageView(HOSTILE[name](LARGE)))


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    """A message of 100 MB: multipart/mixed of a text and a body in base64, one of quoted-printable behind it."""
    path = tmp_path / "big.eml"
    lines = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n"
    text = prose(1, 60_000)
    with path.open("wb") as file:
        file.write(header(1, "Content-Type: multipart/mixed; boundary=big"))
        file.write(
            b"--big\r\n\r\nsee the attachment\r\n\r\n--big\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        )
        for _ in range(640):
            file.write(lines * 1000)
        file.write(b"\r\n--big\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
        for _ in range(860):
            file.write(text)
        file.write(b"\r\n--big--\r\n")
    assert path.stat().st_size > 100_000_000
    return path


def test_memory_for_a_message_of_100_mb_is_flat(big_file: Path) -> None:
    """Mapped from its file: the index, the anomalies, and every body decoded in pieces, in a few megabytes."""
    with big_file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        tracemalloc.start()
        try:
            view = MessageView(octets)
            assert view.anomalies == ()
            decoded = [sum(map(len, part.chunks())) for part in view.parts() if not part.children]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert decoded[1] == 640_000 * 57
    assert decoded[2] == 860 * len(prose(1, 60_000))
    assert peak < 4_000_000
