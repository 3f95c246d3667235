"""What stands behind a command's name: nothing, numbers, a language range."""

import re

_NUMBER = re.compile(rb"[0-9]{1,10}")


class BadCommandError(Exception):
    """A command that cannot be taken; the text of its -ERR."""


def nothing(argument: bytes) -> None:
    if argument.strip(b" "):
        raise BadCommandError("The command takes no argument")


def number(argument: bytes) -> int:
    argument = argument.strip(b" ")
    if not _NUMBER.fullmatch(argument):
        raise BadCommandError("A number was expected")
    return int(argument)


def message_number(argument: bytes) -> int:
    """RFC 1939 section 3: 1 or more."""
    found = number(argument)
    if found == 0:
        raise BadCommandError("Messages are counted from 1")
    return found


def message_number_or_none(argument: bytes) -> int | None:
    return message_number(argument) if argument.strip(b" ") else None
