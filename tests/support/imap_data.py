"""Reads IMAP data (lists, strings, NIL, numbers) so that two spellings of the same structure compare equal."""

import re

_TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^\s()"{]+))', re.DOTALL)
_REST = re.compile(rb"\S")

Data = None | int | bytes | list["Data"]


def parse_imap(octets: bytes) -> list[Data]:
    """Everything in the octets; NIL is None. Raises ValueError where it is not IMAP data."""
    found = []
    position = 0
    while _REST.search(octets, position):
        value, position = parse_one(octets, position)
        found.append(value)
    return found


def parse_one(octets: bytes, position: int) -> tuple[Data, int]:
    """The value at this place and where it ends. Raises ValueError where none stands."""
    stack: list[list[Data]] = [[]]
    while not stack[0] or len(stack) > 1:
        found = _TOKEN.match(octets, position)
        if found is None:
            raise ValueError(f"no IMAP data at {octets[position : position + 40]!r}")
        opening, closing, quoted, literal, atom = found.groups()
        position = found.end()
        if opening:
            stack.append([])
        elif closing:
            if len(stack) == 1:
                raise ValueError(f"a list that was not opened ends at {position}")
            done = stack.pop()
            stack[-1].append(done)
        elif literal is not None:
            stack[-1].append(octets[position : position + int(literal)])
            position += int(literal)
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted))
        else:
            stack[-1].append(None if atom.upper() == b"NIL" else int(atom))
    return stack[0][0], position


def folded(data: Data) -> Data:
    """The same with every string in lower case: types, encodings and parameter names have no case."""
    if isinstance(data, list):
        return [folded(each) for each in data]
    return data.lower() if isinstance(data, bytes) else data
