"""What is logged in tests that run parts of a server in their own process."""

from typing import TextIO

import structlog


def log_plainly(stream: TextIO | None = None) -> None:
    """To standard output or a stream; of an exception its traceback.

    structlog alone draws a picture with all local variables, for a developer at a terminal: tests of faults took most of their
    time for that.
    """
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    processors = [*structlog.get_config()["processors"][:-1], console]
    structlog.configure(processors=processors, logger_factory=structlog.PrintLoggerFactory(stream))
