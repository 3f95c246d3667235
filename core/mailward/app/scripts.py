"""Sieve scripts: what mailward.yaml lets them ask, and, beside a running server, an account's, kept and fetched by an admin, and
rehearsed on stored mail."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mailward.app.accounts import opened_store
from mailward.app.config import Config
from mailward.delivery.script_lists import ScriptLists
from mailward.delivery.script_world import outside_of, world_of
from mailward.directory import Account, Directory
from mailward.formats.message import MessageView
from mailward.lists import ListStore
from mailward.sieve import LANGUAGE, Outcome, compile_script, evaluate
from mailward.sieve.actions import FileInto, Vacation
from mailward.store.base import AccountStore


def script_lists(config: Config) -> ScriptLists:
    """Those that mailward.yaml names for scripts."""
    return ScriptLists(config.sieve_lists, ListStore(config.lists_file))


@contextmanager
def opened_account(config: Config, account: Account) -> Iterator[AccountStore]:
    """The store of an account. Raises StorageError."""
    with opened_store(config) as store:
        yield store.open(account.id)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a script would do with one stored message. missing: mailboxes it would file into that are not there."""

    uid: int
    subject: str
    outcome: Outcome
    missing: frozenset[str]


def rehearsal(config: Config, account: Account, store: AccountStore, text: bytes, mailbox: str, most: int) -> Iterator[Rehearsed]:
    """The newest messages of a mailbox first; nothing is changed and nothing sent.

    Their envelope is known from what final delivery wrote into them: Return-Path, and the address of the account. What was
    brought from elsewhere may have no Return-Path: tests find the null one then. Raises ScriptError, StoreRefusal, StorageError.
    """
    with closing(Directory(config.directory_file)) as directory:
        addresses = directory.addresses_of(account.id)
    script, view, now = compile_script(text, LANGUAGE), store.view(store.mailbox(mailbox).id), datetime.now(UTC)
    newest = list(zip(view.uids, view.messages, strict=True))[: -most - 1 : -1]
    with outside_of(store, now, script_lists(config)) as outside:
        for uid, message in newest:
            read = MessageView(store.octets(message))
            path = read.field("Return-Path")
            reverse_path = "" if path is None else path.value.decode("utf-8", "replace").strip(" \t<>")
            world = world_of(reverse_path, str(account.address), addresses, outside)
            outcome = evaluate(script, read, world)
            if path is None:
                outcome = _of_unknown_sender(outcome)
            filed = [action for action in outcome.actions if isinstance(action, FileInto) and not action.creates]
            missing = frozenset(action.mailbox for action in filed if not outside.mailbox_exists(action.mailbox))
            yield Rehearsed(uid, read.subject, outcome, missing)


def _of_unknown_sender(outcome: Outcome) -> Outcome:
    """Replies are withheld for what is true, that nobody knows whom they would go to."""
    reason = "its reverse-path is not known (no Return-Path)"
    actions = [replace(action, withheld=reason) if isinstance(action, Vacation) else action for action in outcome.actions]
    return replace(outcome, actions=tuple(actions))
