"""Logs: one key=value line an event on standard output, for journald or a file; UTC with milliseconds."""

import logging
import sys

import structlog


def configure_logs() -> None:
    """Set up structlog for a process that serves. Standard library loggers (dependencies) show warnings only."""
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="level=%(levelname)s logger=%(name)s event=%(message)r")
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event", "id"], drop_missing=True, bool_as_flag=False
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
