"""Logs: one key=value line an event; UTC with milliseconds.

A server writes them to standard output, for journald or a file. A command writes warnings alone, and to standard error:
what it prints to standard output is its answer.
"""

import logging
import sys

import structlog

from mailward.formats.text import plain


def configure_logs(*, serving: bool) -> None:
    """Set up structlog. Standard library loggers (dependencies) show warnings only."""
    stream = sys.stdout if serving else sys.stderr
    logging.basicConfig(
        stream=stream, force=True, level=logging.WARNING, format="level=%(levelname)s logger=%(name)s event=%(message)r"
    )
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_what_acts,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event", "id"], drop_missing=True, bool_as_flag=False
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if serving else logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=serving,
    )


def _without_what_acts(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Whoever reads the log on a terminal obeys no stranger, whichever text of his an event quotes (T-SMTP-30)."""
    return {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}
