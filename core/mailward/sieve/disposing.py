"""Where does the message go? keep, fileinto, redirect, discard (RFC 5228 section 4)."""

from mailward.sieve.actions import Discard, FileInto, Keep, Redirect
from mailward.sieve.addresses import sendable
from mailward.sieve.running import Checking, Command, Run, RunProblem, Shape, Step, Takes
from mailward.sieve.text import is_utf8

_MAILBOX_CHARACTERS = 1000


def _keep(run: Run, step: Step) -> None:
    if not any(isinstance(action, Keep) for action in run.actions):
        run.act(Keep(*run.at(step)))


def _fileinto(run: Run, step: Step) -> None:
    mailbox = run.text(step.string(0))
    if problem := problem_of_mailbox(mailbox):
        raise RunProblem(problem, step.place)
    run.keeps = False
    if not any(isinstance(action, FileInto) and action.mailbox == mailbox for action in run.actions):
        run.act(FileInto(*run.at(step), mailbox))


def problem_of_mailbox(name: str) -> str:
    """Why this is no name of a mailbox (RFC 9051 section 5.1); "" where it is one. Whether it exists is not asked."""
    if not name or len(name) > _MAILBOX_CHARACTERS or not is_utf8(name) or not name.isprintable():
        return f"invalid folder name {name[:40]!r}: a mailbox name is printable text in UTF-8"
    if any(level in ("", ".", "..") for level in name.split("/")):
        return f"invalid folder name {name[:40]!r}: no level of it may be empty, '.' or '..'"
    return ""


def check_mailbox(checking: Checking, step: Step) -> None:
    name = step.string(len(step.values) - 1)
    if name.constant is not None and (problem := problem_of_mailbox(name.constant)):
        checking.problem(name.place, problem)


def _redirect(run: Run, step: Step) -> None:
    written = run.text(step.string(0))
    address = sendable(written)
    if address is None:
        raise RunProblem(f"the redirect command cannot send to {written[:60]!r}", step.place)
    run.keeps = False
    sent = [action for action in run.actions if isinstance(action, Redirect)]
    if any(action.address == address for action in sent):
        return
    if len(sent) >= run.limits.redirects:
        raise RunProblem(f"the number of redirect actions exceeds policy limit ({run.limits.redirects})", step.place)
    run.act(Redirect(*run.at(step), address))


def _check_redirect(checking: Checking, step: Step) -> None:
    text = step.string(0)
    if text.constant is not None and sendable(text.constant) is None:
        checking.problem(text.place, f"the redirect command cannot send to {text.constant[:60]!r}, which is not one address")


def _discard(run: Run, step: Step) -> None:
    run.keeps = False
    if not any(isinstance(action, Discard) for action in run.actions):
        run.act(Discard(*run.at(step)))


COMMANDS = (
    Command("keep", do=_keep),
    Command("fileinto", (Takes("mailbox", Shape.STRING),), extension="fileinto", check=check_mailbox, do=_fileinto),
    Command("redirect", (Takes("address", Shape.STRING),), check=_check_redirect, do=_redirect),
    Command("discard", do=_discard),
)
