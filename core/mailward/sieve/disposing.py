"""Where does the message go? keep, fileinto, redirect, discard (RFC 5228 section 4), and reject (RFC 5429)."""

from mailward.formats.message import MessageView
from mailward.sieve.actions import Discard, FileInto, Keep, Redirect, Reject
from mailward.sieve.addresses import sendable
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.endings import RunProblem
from mailward.sieve.flags import FLAGS, flags_of
from mailward.sieve.lists import found_list
from mailward.sieve.mailboxes import check_mailbox, check_use, is_use, problem_of_mailbox
from mailward.sieve.matching import check_list
from mailward.sieve.running import Checking, Command, Run, Step
from mailward.sieve.text import Text

_COPY = TagRule("copy", extension="copy")
"""RFC 3894: the implicit keep stays."""
_LIST = TagRule("list", extension="extlists")
"""RFC 6134 section 2.3: to everybody on it; each counts as a redirect."""
_PLACE = (
    FLAGS,
    TagRule("create", extension="mailbox"),
    TagRule("specialuse", takes=Shape.STRING, extension="special-use"),
    TagRule("mailboxid", takes=Shape.STRING, extension="mailboxid"),
)
FCC = (TagRule("fcc", takes=Shape.STRING, extension="fcc"), *_PLACE)
"""The tags of commands that send something."""


def _keep(run: Run, step: Step) -> None:
    run.store(Keep(*run.at(step), flags_of(run, step), run.edited))


def _fileinto(run: Run, step: Step) -> None:
    run.store(_filing(run, step, step.string(0), run.edited), keeps="copy" in step.tags)


def _filing(run: Run, step: Step, name: Text, message: MessageView | None) -> FileInto:
    """The mailbox that a name and the tags beside it mean."""
    mailbox = run.text(name)
    if problem := problem_of_mailbox(mailbox):
        raise RunProblem(problem, step.place)
    use = ""
    if (tag := step.tags.get("mailboxid")) is not None:
        mailbox = run.outside.mailbox_with_id(run.text(tag.strings[0])) or mailbox
    if (tag := step.tags.get("specialuse")) is not None:
        use = run.text(tag.strings[0])
        if not is_use(use):
            raise RunProblem(f"{use[:40]!r} is no special use", step.place)
        mailbox = run.outside.mailbox_with_use(use) or mailbox
    return FileInto(*run.at(step), flags_of(run, step), message, mailbox, "create" in step.tags, use)


def fcc_of(run: Run, step: Step) -> FileInto | None:
    """Where a copy of what is sent goes (RFC 8580)."""
    use = step.tags.get("fcc")
    return None if use is None else _filing(run, step, use.strings[0], None)


def check_fcc(checking: Checking, step: Step) -> None:
    if (use := step.tags.get("fcc")) is not None:
        check_mailbox(checking, use.strings[0])
    elif (other := next((step.tags[tag.name] for tag in _PLACE if tag.name in step.tags), None)) is not None:
        checking.problem(other.place, f"the tag ':{other.name}' stands only beside ':fcc'")
    if (use := step.tags.get("specialuse")) is not None:
        check_use(checking, use.strings[0])


def _check_fileinto(checking: Checking, step: Step) -> None:
    check_mailbox(checking, step.string(0))
    if (tag := step.tags.get("specialuse")) is not None:
        check_use(checking, tag.strings[0])


def _redirect(run: Run, step: Step) -> None:
    written = run.text(step.string(0))
    if "list" not in step.tags:
        _send_on(run, step, written)
        return
    addresses = run.outside.listed_addresses(found_list(run, written), run.limits.redirects + 1)
    if addresses is None:
        raise RunProblem(f"the list {written[:80]!r} has no addresses on it", step.place)
    for address in addresses:  # where nobody is on it, the message stays
        _send_on(run, step, address)


def _send_on(run: Run, step: Step, written: str) -> None:
    address = sendable(written)
    if address is None:
        raise RunProblem(f"the redirect command cannot send to {written[:60]!r}", step.place)
    run.keeps = run.keeps and "copy" in step.tags
    sent = [action for action in run.actions if isinstance(action, Redirect)]
    if any(action.address == address for action in sent):
        return
    if len(sent) >= run.limits.redirects:
        raise RunProblem(f"the number of redirect actions exceeds policy limit ({run.limits.redirects})", step.place)
    run.act(Redirect(*run.at(step), address, run.edited), keeps=True)


def _check_redirect(checking: Checking, step: Step) -> None:
    text = step.string(0)
    if "list" in step.tags:
        check_list(checking, text)
    elif text.constant is not None and sendable(text.constant) is None:
        checking.problem(text.place, f"the redirect command cannot send to {text.constant[:60]!r}, which is not one address")


def _discard(run: Run, step: Step) -> None:
    run.keeps = False
    if not any(isinstance(action, Discard) for action in run.actions):
        run.act(Discard(*run.at(step)))


def _reject(run: Run, step: Step) -> None:
    run.act(Reject(*run.at(step), run.text(step.string(0))))


_REASON = (Takes("reason", Shape.STRING),)
COMMANDS = (
    Command("keep", tags=(FLAGS,), do=_keep),
    Command(
        "fileinto",
        (Takes("mailbox", Shape.STRING),),
        (_COPY, *_PLACE),
        "fileinto",
        check=_check_fileinto,
        do=_fileinto,
    ),
    Command("redirect", (Takes("address", Shape.STRING),), (_COPY, _LIST), check=_check_redirect, do=_redirect),
    Command("discard", do=_discard),
    Command("reject", _REASON, extension="reject", do=_reject),
    Command("ereject", _REASON, extension="ereject", do=_reject),
)
