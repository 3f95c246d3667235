"""BODY and BODYSTRUCTURE taken apart: what is said of each part, by its number, so that two answers can be compared item by item."""

from collections.abc import Iterator

from support.imap_data import Data

Numbered = dict[str, dict[str, Data]]
"""Part number ("" for a multipart root, "3.TEXT" for the multipart in a message/rfc822 that is part 3) to what is said of it."""


def numbered(structure: Data, *, extended: bool) -> Numbered:
    """Everything that a BODY or (extended) a BODYSTRUCTURE says. Raises AssertionError where the grammar is not kept to."""
    found: Numbered = {}
    waiting: list[tuple[str, Data]] = [("", structure)]
    while waiting:
        number, data = waiting.pop()
        assert isinstance(data, list)
        if not isinstance(data[0], list):
            waiting += _leaf(number or "1", data, found, extended=extended)
            continue
        children = data[: next(i for i, each in enumerate(data) if not isinstance(each, list))]
        rest = data[len(children) :]
        names = ("subtype", "parameters", "disposition", "language", "location") if extended else ("subtype",)
        assert len(rest) == len(names), rest
        found[number] = {"type": b"multipart", **dict(zip(names, rest, strict=True))}
        inside = number.removesuffix("TEXT")
        waiting += [
            (f"{inside}{'' if not inside or inside.endswith('.') else '.'}{n}", child) for n, child in enumerate(children, 1)
        ]
    return {number: _even(items) for number, items in found.items()}


def _leaf(number: str, data: list[Data], found: Numbered, *, extended: bool) -> list[tuple[str, Data]]:
    """Note what is said of a leaf or an attached message; its own root is returned."""
    names = ["type", "subtype", "parameters", "id", "description", "encoding", "size"]
    kind = _lower(data[0]), _lower(data[1])
    if kind[0] == b"message" and kind[1] in (b"rfc822", b"global") and len(data) > 8 and isinstance(data[8], list):
        names += ["envelope", "structure", "lines"]
    elif kind[0] == b"text":
        names += ["lines"]
    if extended:
        names += ["md5", "disposition", "language", "location"]
    assert len(data) == len(names), data
    found[number] = dict(zip(names, data, strict=True))
    if "structure" not in names:
        return []
    child = found[number].pop("structure")
    assert isinstance(child, list)
    return [(f"{number}.TEXT" if isinstance(child[0], list) else f"{number}.1", child)]


def _even(items: dict[str, Data]) -> dict[str, Data]:
    """Without what has no meaning: the case of types, encodings, names and charsets, the order of parameters.

    RFC 2045 sections 5.1 and 6.1, RFC 2046 section 4.1.2.
    """
    even = {key: _lower(value) if key in ("type", "subtype", "encoding") else value for key, value in items.items()}
    if "parameters" in even:
        even["parameters"] = _pairs(even["parameters"])
    disposition = even.get("disposition")
    if isinstance(disposition, list):
        even["disposition"] = [_lower(disposition[0]), _pairs(disposition[1])]
    language = even.get("language")
    if isinstance(language, bytes):
        even["language"] = [language]
    return even


def _pairs(data: Data) -> Data:
    if data is None:
        return None
    assert isinstance(data, list)
    names, values = data[::2], data[1::2]
    pairs: list[Data] = []
    for name, value in zip(names, values, strict=True):
        assert isinstance(name, bytes)
        assert isinstance(value, bytes)
        pairs.append([name.lower(), value.lower() if name.lower() == b"charset" else value])
    return sorted(pairs, key=repr)


def _lower(data: Data) -> Data:
    return data.lower() if isinstance(data, bytes) else data


def parts_of(described: Numbered) -> Iterator[tuple[str, bool]]:
    """The numbers of parts, and whether each is an attached message."""
    for number, items in described.items():
        if number and not number.endswith(".TEXT"):
            yield number, "envelope" in items
