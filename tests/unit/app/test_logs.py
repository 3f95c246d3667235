"""One event is one line of text, whatever strangers' words it quotes."""

import subprocess
import sys

PROGRAM = """
import structlog
from mailward.app.logs import configure_logs

configure_logs(serving=True)
log = structlog.get_logger()
log.info("lost", why="\\x1b[2J\\x9b1m gr\\u00fc\\u00dfe\\r\\nevent=forged \\u202e\\u2028\\0", count=2)
try:
    raise ValueError("\\x1b[2J\\nevent=forged")
except ValueError:
    log.exception("failed")
"""


def test_t_smtp_30_an_event_is_one_line_that_does_nothing_to_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", PROGRAM], capture_output=True, text=True, encoding="utf-8", timeout=60, check=True
    )
    first, second = done.stdout.removesuffix("\n").split("\n")
    assert first.isprintable() and second.isprintable()
    assert first.endswith(' event=lost why="[2J1m grüße\\nevent=forged " count=2')
    assert " event=failed " in second and "ValueError: [2J\\nevent=forged" in second
