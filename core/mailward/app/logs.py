"""Logs: one key=value line an event; UTC with milliseconds.

A server writes them to standard output, for journald or a file. A command writes warnings alone, and to standard error:
what it prints to standard output is its answer.
"""

import logging
import re
import sys
from datetime import UTC, datetime

import structlog

from mailward.formats.text import plain
from mailward.model.decision import utc_text

_BARE = re.compile(r"[!#-<>-\[\]-~]*")
"""What needs neither quotes nor escapes: printable ASCII without blanks, quotes, "=" and backslashes."""


def configure_logs(*, serving: bool) -> None:
    """Set up structlog. Standard library loggers (dependencies) show warnings only."""
    stream = sys.stdout if serving else sys.stderr
    logging.basicConfig(
        stream=stream, force=True, level=logging.WARNING, format="level=%(levelname)s logger=%(name)s event=%(message)r"
    )
    structlog.configure(
        processors=[structlog.processors.format_exc_info, _line],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if serving else logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=serving,
    )


def _line(_: object, level: str, event: structlog.typing.EventDict) -> str:
    """logfmt: what it is and of which message first."""
    first = {name: event.pop(name) for name in ("event", "id") if name in event}
    pairs = [f"{name}={_text(value)}" for name, value in (*first.items(), *event.items())]
    return " ".join((f"timestamp={utc_text(datetime.now(UTC))}", f"level={level}", *pairs))


def _text(value: object) -> str:
    """Whoever reads the log on a terminal obeys no stranger, whichever text of his an event quotes (T-SMTP-30)."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    text = plain(text)
    quotes = any(sign in text for sign in ' ="')
    if quotes:
        text = text.replace("\\", "\\\\")
    text = text.replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"' if quotes else text
