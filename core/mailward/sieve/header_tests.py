"""What do the header and the envelope say, how large is the message? (RFC 5228 sections 5.1, 5.4, 5.5, 5.7 and 5.9)"""

from collections.abc import Iterator

from mailward.sieve.addresses import ADDRESS_FIELDS, ADDRESS_PARTS, addresses_of, part_of
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.fields import INDEX, MIME, MIME_VALUES, check_fields, fields_of, texts_of
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Checking, Run, Step, Test

_ENVELOPE_PARTS = ("from", "to", "auth")
_PARSING = 16
"""How much dearer it is to read an address than to look at it."""
_KEYS = Takes("key list", Shape.STRINGS)


def _address(run: Run, step: Step) -> bool:
    return matches(run, step, _address_values(run, step), step.strings(1))


def _address_values(run: Run, step: Step) -> Iterator[str]:
    for name in run.texts(step.strings(0)):
        for field in fields_of(run, step, name):
            run.spending.look_through(_PARSING * len(field.value))
            for local_part, domain in addresses_of(field.value):
                value = part_of(run, step, local_part, domain)
                if value is not None:
                    yield value


def _check_address(checking: Checking, step: Step) -> None:
    check_matching(checking, step)
    check_fields(checking, step)
    for name in step.strings(0):
        if name.constant is not None and name.constant.lower() not in ADDRESS_FIELDS:
            checking.problem(
                name.place, f"the header {name.constant[:40]!r} is not allowed for the address test: it holds no addresses"
            )


def _envelope(run: Run, step: Step) -> bool:
    return matches(run, step, _envelope_values(run, step), step.strings(1))


def _envelope_values(run: Run, step: Step) -> Iterator[str]:
    envelope = run.world.envelope
    for name in run.texts(step.strings(0)):
        if name.lower() == "auth":
            if envelope.auth:
                yield envelope.auth
            continue
        path = {"from": envelope.reverse_path, "to": envelope.forward_path}.get(name.lower())
        if path is None:
            continue
        if path.address is None:
            yield ""  # whatever part is asked for
        elif (value := part_of(run, step, path.address.local_part, path.address.domain)) is not None:
            yield value


def _check_envelope(checking: Checking, step: Step) -> None:
    check_matching(checking, step)
    for name in step.strings(0):
        if name.constant is not None and name.constant.lower() not in _ENVELOPE_PARTS:
            known = ", ".join(_ENVELOPE_PARTS)
            checking.problem(name.place, f"unknown envelope part {name.constant[:40]!r}; there are {known}")


def _header(run: Run, step: Step) -> bool:
    names = run.texts(step.strings(0))
    values = (value for name in names for value in texts_of(run, step, fields_of(run, step, name)))
    return matches(run, step, values, step.strings(1))


def _check_header(checking: Checking, step: Step) -> None:
    check_matching(checking, step)
    check_fields(checking, step)


def _exists(run: Run, step: Step) -> bool:
    return all(fields_of(run, step, name) for name in run.texts(step.strings(0)))


def _size(run: Run, step: Step) -> bool:
    size, limit = run.message.size_octets, step.number(0)
    return size > limit if step.tags["relation"].name == "over" else size < limit


def _check_size(checking: Checking, step: Step) -> None:
    if "relation" not in step.tags:
        checking.problem(step.place, "the size test needs :over or :under")


TESTS = (
    Test(
        "address",
        (Takes("header list", Shape.STRINGS), _KEYS),
        (*MATCHING, *ADDRESS_PARTS, *INDEX, *MIME),
        check=_check_address,
        holds=_address,
    ),
    Test(
        "envelope",
        (Takes("envelope parts", Shape.STRINGS), _KEYS),
        (*MATCHING, *ADDRESS_PARTS),
        "envelope",
        check=_check_envelope,
        holds=_envelope,
    ),
    Test(
        "header",
        (Takes("header names", Shape.STRINGS), _KEYS),
        (*MATCHING, *INDEX, *MIME, *MIME_VALUES),
        check=_check_header,
        holds=_header,
    ),
    Test("exists", (Takes("header names", Shape.STRINGS),), MIME, check=check_fields, holds=_exists),
    Test(
        "size",
        (Takes("limit", Shape.NUMBER),),
        (TagRule("over", "relation"), TagRule("under", "relation")),
        check=_check_size,
        holds=_size,
    ),
)
