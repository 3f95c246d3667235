"""Each part of a message, one after another: foreverypart, break, extracttext (RFC 5703 sections 3 and 7)."""

from mailward.formats.part import PartView
from mailward.formats.texts import TEXT_TYPES, TextPart
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.endings import Break, RunProblem
from mailward.sieve.running import Checking, Command, Run, Step
from mailward.sieve.variables import MODIFIERS, check_variable, modified


def _foreverypart(run: Run, step: Step) -> None:
    name = step.tags["name"].strings[0].constant if "name" in step.tags else None
    outer = run.part
    parts = list((outer or run.message.root).walk())
    try:
        for part in parts if outer is None else parts[1:]:
            run.count(step)
            run.part = part
            run.steps(step.block)
    except Break as ended:
        if ended.name is not None and ended.name != name:
            raise
    finally:
        run.part = outer


def _break(run: Run, step: Step) -> None:
    if run.part is None:
        raise RunProblem("break stands outside of foreverypart", step.place)
    raise Break(step.tags["name"].strings[0].constant if "name" in step.tags else None)


def _extracttext(run: Run, step: Step) -> None:
    if run.part is None:
        raise RunProblem("extracttext stands outside of foreverypart", step.place)
    run.spending.look_through(_READING * run.part.size_octets)
    text = _text(run.part)
    if "first" in step.tags:
        text = text[: step.tags["first"].number]
    run.set_variable((step.string(0).constant or "").lower(), modified(run, step, text[: run.limits.variable_characters]))


def _text(part: PartView) -> str:
    """What people read of a part; nothing of one that is no text."""
    if part.content_type in TEXT_TYPES:
        return TextPart(part).text
    return part.text if part.content_type.startswith("text/") else ""


def _check_extracttext(checking: Checking, step: Step) -> None:
    if "variables" not in checking.extensions:
        checking.problem(step.place, 'the extracttext command needs require "variables" at the top')
    else:
        check_variable(checking, step)


_READING = 16
"""How much dearer it is to make text of a part than to look at it."""
_NAME = TagRule("name", takes=Shape.STRING)
COMMANDS = (
    Command("foreverypart", tags=(_NAME,), extension="foreverypart", has_block=True, do=_foreverypart),
    Command("break", tags=(_NAME,), extension="foreverypart", do=_break),
    Command(
        "extracttext",
        (Takes("variable name", Shape.STRING),),
        (TagRule("first", takes=Shape.NUMBER), *MODIFIERS),
        "extracttext",
        check=_check_extracttext,
        do=_extracttext,
    ),
)
