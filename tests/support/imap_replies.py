"""IMAP replies as nested lists of strings, for those who run scripts that others wrote."""

import re

Data = str | list["Data"]
_TOKEN = re.compile(rb'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|((?:[^\s()"\[\]]|\[[^\]]*\]?)+)|([\[\]]))', re.DOTALL)


class Failed(AssertionError):
    """A script's expectation that was not met."""


def parse(octets: bytes) -> list[Data]:
    """A reply as nested lists; response codes are lists that begin with "["."""
    stack: list[list[Data]] = [[]]
    at = 0
    while octets[at:].strip():
        match = _TOKEN.match(octets, at)
        if match is None:
            raise Failed(f"cannot read {octets[at:]!r}")
        at = match.end()
        bracket, quoted, literal, atom, square = match.groups()
        if bracket == b"(" or square == b"[":
            stack.append(["["] if square else [])
        elif bracket or square:
            done = stack.pop()
            stack[-1].append(done)
        elif literal is not None:
            stack[-1].append(octets[at : at + int(literal)].decode("latin-1"))
            at += int(literal)
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted).decode("latin-1"))
        else:
            text = atom.decode("latin-1")
            if text.startswith("[") and text.endswith("]"):
                stack[-1].append(["[", *parse(atom[1:-1])])
            elif text.startswith("["):
                stack.append(["[", text[1:]])
            elif "[" not in text and text.endswith("]") and len(stack) > 1:
                stack[-1].append(text[:-1])
                done = stack.pop()
                stack[-1].append(done)
            else:
                stack[-1].append(text)
    return stack[0]


def loosely(reply: bytes) -> list[Data]:
    """An untagged or tagged reply as data; the text for people does not have to be of the grammar."""
    octets = reply.removeprefix(b"* ")
    match = re.match(rb"(?i)(ok|no|bad|bye) (\[[^\]]*\])?", octets)
    return parse(match[0]) if match else parse(octets)
