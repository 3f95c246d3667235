"""Which lines of this plain text are one paragraph? format=flowed and DelSp (RFC 3676)."""

SIGNATURE = "-- "
"""The line before a signature ends in a blank and is no part of a paragraph (RFC 3676 section 4.3)."""


def unflow(text: str, *, deletes_space: bool = False) -> str:
    """Flowed text with one line a paragraph, quoted ones after "> " for each depth. Linear; never raises.

    deletes_space: the blank that marks a flowed line is no part of the text (DelSp=yes, section 4.1).
    """
    paragraphs: list[str] = []
    pieces: list[str] = []
    open_depth = 0
    for line in text.replace("\r\n", "\n").split("\n"):
        rest = line.lstrip(">")
        depth = len(line) - len(rest)
        content = rest.removeprefix(" ")  # section 4.4: space-stuffing
        if pieces and (depth != open_depth or content == SIGNATURE):
            # Section 4.5: a paragraph never goes on at another depth; the blank at its end stays.
            paragraphs.append(_quoted(open_depth, pieces))
            pieces = []
        open_depth = depth
        if content.endswith(" ") and content != SIGNATURE:
            pieces.append(content[:-1] if deletes_space else content)
            continue
        pieces.append(content)
        paragraphs.append(_quoted(depth, pieces))
        pieces = []
    if pieces:
        paragraphs.append(_quoted(open_depth, pieces))
    return "\n".join(paragraphs)


def _quoted(depth: int, pieces: list[str]) -> str:
    return "> " * depth + "".join(pieces)
