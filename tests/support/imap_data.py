"""Reads IMAP data (lists, strings, NIL, numbers) so that two spellings of the same structure compare equal."""

import re

_TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^\s()"{]+))', re.DOTALL)

Data = None | int | bytes | list["Data"]


def parse_imap(octets: bytes) -> list[Data]:
    """Everything in the octets; NIL is None. Raises ValueError where it is not IMAP data."""
    stack: list[list[Data]] = [[]]
    position = 0
    while octets[position:].strip():
        found = _TOKEN.match(octets, position)
        if found is None:
            raise ValueError(f"no IMAP data at {octets[position : position + 40]!r}")
        opening, closing, quoted, literal, atom = found.groups()
        position = found.end()
        if opening:
            stack.append([])
        elif closing:
            done = stack.pop()
            stack[-1].append(done)
        elif literal is not None:
            stack[-1].append(octets[position : position + int(literal)])
            position += int(literal)
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted))
        else:
            stack[-1].append(None if atom.upper() == b"NIL" else int(atom))
    if len(stack) != 1:
        raise ValueError("an unclosed list")
    return stack[0]


def folded(data: Data) -> Data:
    """The same with every string in lower case: types, encodings and parameter names have no case."""
    if isinstance(data, list):
        return [folded(each) for each in data]
    return data.lower() if isinstance(data, bytes) else data
