"""What each op does to the state of the plainest message store."""

from collections.abc import Sequence

from mailward.formats.mailbox_names import INBOX
from mailward.model.ids import MailboxId, Uid
from mailward.store.names import normalise_name, parents
from mailward.store.ops import (
    ANY_KEYWORD,
    NO_MAILBOX,
    RIGHTS,
    SERVER,
    ActivateScript,
    Append,
    Copy,
    CreateMailbox,
    DeleteMailbox,
    DeleteScript,
    Expunge,
    Named,
    Op,
    OpResult,
    PutScript,
    RenameMailbox,
    RenameScript,
    Renumber,
    SetAnnotations,
    SetFlags,
    SetRights,
    SetSpecialUse,
    Subscribe,
    Undelete,
)
from mailward.store.refusals import (
    MailboxExists,
    NoSuchMailbox,
    NoSuchScript,
    NotPermitted,
    ScriptActive,
    ScriptExists,
    SpecialUseRefused,
)
from support.memory_state import Box, Entry, Left, State, box_of, put_back


class Steps:
    """One list of ops on a state of its own."""

    def __init__(self, state: State, now_s: int) -> None:
        self.state = state
        self._now_s = now_s
        self._modseq = 0

    def run(self, op: Op) -> OpResult:
        match op:
            case Append():
                return self._append(op)
            case SetFlags():
                return self._set_flags(op)
            case Expunge():
                box = box_of(self.state, op.mailbox)
                there = tuple(uid for uid in sorted(set(op.uids)) if uid in box.entries)
                self._leave(box, there, is_final=op.final)
                self._remove(box, there)
                return OpResult(box.id, box.uidvalidity, there)
            case Undelete():
                return self._undelete(op)
            case Copy():
                return self._copy(op)
            case Named():
                if box_of(self.state, op.mailbox).name != normalise_name(op.name):
                    raise NoSuchMailbox(op.name)
                return OpResult(op.mailbox)
            case CreateMailbox():
                return self._create(op)
            case RenameMailbox():
                return self._rename(op)
            case DeleteMailbox():
                return self._delete(op)
            case Subscribe():
                name = normalise_name(op.name)
                (self.state.subscriptions.add if op.subscribed else self.state.subscriptions.discard)(name)
                found = self._find(name)
                return OpResult(found.id if found else NO_MAILBOX)
            case Renumber():
                return self._renumber(op)
            case SetRights():
                return self._set_rights(op)
            case SetSpecialUse():
                return self._set_special_use(op)
            case SetAnnotations():
                return self._set_annotations(op)
            case _:
                self._run_on_scripts(op)
                return OpResult(NO_MAILBOX)

    def _run_on_scripts(self, op: PutScript | RenameScript | DeleteScript | ActivateScript) -> None:
        state = self.state
        if not isinstance(op, PutScript) and op.name and op.name not in state.scripts:
            raise NoSuchScript(op.name)
        match op:
            case PutScript():
                state.scripts[op.name] = op.text
            case RenameScript():
                if op.new_name != op.name and op.new_name in state.scripts:
                    raise ScriptExists(op.new_name)
                state.scripts[op.new_name] = state.scripts.pop(op.name)
                if state.active_script == op.name:
                    state.active_script = op.new_name
            case DeleteScript():
                if state.active_script == op.name:
                    raise ScriptActive(op.name)
                del state.scripts[op.name]
            case ActivateScript():
                state.active_script = op.name

    def _append(self, op: Append) -> OpResult:
        if op.delivery_key in self.state.deliveries:
            mailbox, uid, _ = self.state.deliveries[op.delivery_key]
            return OpResult(mailbox, uids=(uid,), duplicate=True)
        box = box_of(self.state, op.mailbox)
        message = self.state.last_message = self.state.last_message + 1
        self.state.messages[message] = (op.octets, op.internal_date)
        if op.uid is not None:
            if op.uid < box.uidnext:
                raise NotPermitted(op.uid)
            box.uidnext = op.uid
        pop3_uidl = None if op.pop3_uidl in self.state.past_pop3_uidls else op.pop3_uidl
        self.state.past_pop3_uidls |= {op.pop3_uidl} - {None}
        uid = self._add(box, message, op.flags, self._email(), pop3_uidl)
        if op.delivery_key is not None:
            self.state.deliveries[op.delivery_key] = (box.id, uid, message)
        return OpResult(box.id, box.uidvalidity, (uid,))

    def _leave(self, box: Box, uids: Sequence[int], *, is_final: bool = False) -> None:
        for uid in uids:
            entry = box.entries[uid]
            self.state.left[entry.message] = Left(box, entry.flags, entry.email, self._now_s, is_final)

    def _undelete(self, op: Undelete) -> OpResult:
        box, expunged = box_of(self.state, op.mailbox), put_back(self.state)
        uids = []
        for message in sorted(set(op.messages) & expunged.keys()):
            left = self.state.left.pop(message)
            uids.append(self._add(box, message, tuple(left.flags - {"\\Deleted"}), left.email, None))
        return OpResult(box.id, box.uidvalidity, tuple(uids))

    def _set_flags(self, op: SetFlags) -> OpResult:
        box = box_of(self.state, op.mailbox)
        there = [uid for uid in sorted(set(op.uids)) if uid in box.entries]
        limit = op.unchanged_since
        refused = tuple(uid for uid in there if limit is not None and box.entries[uid].modseq > limit)
        given = box.canonical(op.flags)
        touched = tuple(uid for uid in there if uid not in refused)
        before = box.modseq
        for uid in touched:
            entry = box.entries[uid]
            kept = frozenset(flag for flag in entry.flags if _is_kept(flag, op.kept))
            replaced = kept | frozenset(flag for flag in given if not _is_kept(flag, op.kept))
            flags = {"add": entry.flags | given, "remove": entry.flags - given, "replace": replaced}[op.mode]
            if flags != entry.flags:
                box.learn(flags)
                entry.flags, entry.modseq = flags, self._change(box)
                box.changes.append((entry.modseq, uid))
        return OpResult(box.id, box.uidvalidity, touched, refused=refused, modseqs=(before, box.modseq))

    def _set_rights(self, op: SetRights) -> OpResult:
        box = box_of(self.state, op.mailbox)
        now, given = set(box.grants.pop(op.grantee, "")), set(op.rights)
        after = {"add": now | given, "remove": now - given, "replace": given}[op.mode]
        if after:
            box.grants[op.grantee] = "".join(sorted(after, key=RIGHTS.index))
        return OpResult(box.id, box.uidvalidity)

    def _set_special_use(self, op: SetSpecialUse) -> OpResult:
        box = box_of(self.state, op.mailbox)
        others = {other.special_use for other in self.state.boxes.values() if other.id != box.id}
        if op.special_use and (op.special_use in others or box.name == INBOX):
            raise SpecialUseRefused(op.special_use)
        box.special_use = op.special_use
        self._change(box)
        return OpResult(box.id, box.uidvalidity)

    def _set_annotations(self, op: SetAnnotations) -> OpResult:
        if op.mailbox != SERVER and not op.owner:
            box_of(self.state, op.mailbox)
        there = self.state.annotations.setdefault((op.owner, op.mailbox), {})
        for name, value in op.entries:
            there.pop(name, None)
            if value is not None:
                there[name] = value
        return OpResult(op.mailbox)

    def _copy(self, op: Copy) -> OpResult:
        source, target = box_of(self.state, op.mailbox), box_of(self.state, op.target)
        sources = tuple(uid for uid in sorted(set(op.uids)) if uid in source.entries)
        copied = [source.entries[uid] for uid in sources]
        kept = [(entry.email, entry.pop3_uidl) if op.move else (self._email(), None) for entry in copied]
        uids = tuple(self._add(target, e.message, tuple(e.flags), *of_it) for e, of_it in zip(copied, kept, strict=True))
        if op.move:
            self._remove(source, sources)
        return OpResult(target.id, target.uidvalidity, uids, sources=sources)

    def _create(self, op: CreateMailbox) -> OpResult:
        name = normalise_name(op.name)
        if self._find(name):
            raise MailboxExists(name)
        if op.special_use and any(box.special_use == op.special_use for box in self.state.boxes.values()):
            raise SpecialUseRefused(op.special_use)
        made = self._make(name, op.special_use, inherit=op.inherit)
        return OpResult(made.id, made.uidvalidity)

    def _rename(self, op: RenameMailbox) -> OpResult:
        name, new_name = normalise_name(op.name), normalise_name(op.new_name)
        box = self._find(name)
        moved = [other for other in self.state.boxes.values() if f"{other.name}/".startswith(f"{name}/")]
        if not moved:
            raise NoSuchMailbox(name)
        if self._find(new_name):
            raise MailboxExists(new_name)
        if box is not None and name == INBOX:
            made = self._make(new_name, "")
            made.grants = dict(box.grants)
            self.state.annotations["", made.id] = dict(self.state.annotations.get(("", box.id), {}))
            self._copy(Copy(box.id, tuple(map(Uid, sorted(box.entries))), made.id, move=True))
            return OpResult(made.id, made.uidvalidity)
        if new_name.startswith(f"{name}/"):
            raise NotPermitted(new_name)
        for other in moved:
            there = self._find(normalise_name(new_name + other.name[len(name) :]))
            if there is not None and there not in moved:
                raise MailboxExists(there.name)
        self._make_parents(new_name)
        for other in sorted(moved, key=lambda other: other.name):
            self._remember(other)
            other.name = new_name + other.name[len(name) :]
            if self.state.past_names.get(other.name, 0) >= other.uidvalidity:
                other.uidvalidity = self._uidvalidity()
            self._change(other)
        return OpResult(NO_MAILBOX) if box is None else OpResult(box.id, box.uidvalidity)

    def _delete(self, op: DeleteMailbox) -> OpResult:
        name = normalise_name(op.name)
        box = self._find(name)
        if box is None:
            raise NoSuchMailbox(name)
        if name == INBOX or (op.only_unused and box.uidnext > 1):
            raise NotPermitted(name)
        self._remember(box)
        self._leave(box, sorted(box.entries))
        del self.state.boxes[box.id]
        self.state.annotations.pop(("", box.id), None)
        return OpResult(box.id)

    def _renumber(self, op: Renumber) -> OpResult:
        box = box_of(self.state, op.mailbox)
        if op.uidvalidity is None:
            box.uidvalidity = self._uidvalidity()
        elif op.uidvalidity != box.uidvalidity:
            if box.uidnext > 1 or op.uidvalidity <= self.state.past_names.get(box.name, 0):
                raise NotPermitted(box.name)
            box.uidvalidity = op.uidvalidity
            self.state.last_uidvalidity = max(self.state.last_uidvalidity, op.uidvalidity)
        box.uidnext = max(box.uidnext, op.uidnext)
        self._change(box)
        return OpResult(box.id, box.uidvalidity)

    # What they are made of

    def _change(self, box: Box) -> int:
        """The list's MODSEQ, which is now the mailbox's."""
        if not self._modseq:
            self.state.last_modseq += 1
            self._modseq = self.state.last_modseq
        box.modseq = self._modseq
        return self._modseq

    def _uidvalidity(self) -> int:
        self.state.last_uidvalidity = max(self._now_s, self.state.last_uidvalidity + 1)
        return self.state.last_uidvalidity

    def _find(self, name: str) -> Box | None:
        return next((box for box in self.state.boxes.values() if box.name == name), None)

    def _make(self, name: str, special_use: str, *, inherit: bool = True) -> Box:
        self._make_parents(name, inherit=inherit)
        self.state.last_mailbox += 1
        made = Box(MailboxId(self.state.last_mailbox), name, special_use, self._uidvalidity(), 0)
        self._change(made)
        above = self._find(name.rpartition("/")[0])
        made.grants = dict(above.grants) if above and inherit else {}
        self.state.boxes[made.id] = made
        return made

    def _make_parents(self, name: str, *, inherit: bool = True) -> None:
        for parent in parents(name):
            if not any(f"{box.name}/".startswith(f"{parent}/") for box in self.state.boxes.values()):
                self._make(parent, "", inherit=inherit)

    def _remember(self, box: Box) -> None:
        self.state.past_names[box.name] = max(self.state.past_names.get(box.name, 0), box.uidvalidity)

    def _email(self) -> int:
        self.state.last_email += 1
        return self.state.last_email

    def _add(self, box: Box, message: int, names: Sequence[str], email: int, pop3_uidl: str | None) -> int:
        uid, modseq, flags = box.uidnext, self._change(box), box.canonical(names)
        box.uidnext += 1
        box.learn(flags)
        box.entries[uid] = Entry(message, flags, modseq, modseq, email, self._now_s, pop3_uidl)
        box.changes.append((modseq, uid))
        return uid

    def _remove(self, box: Box, uids: Sequence[int]) -> None:
        for uid in uids:
            box.gone.append((self._change(box), uid, box.entries.pop(uid).added_modseq))


def _is_kept(flag: str, kept: Sequence[str]) -> bool:
    return flag in kept or (ANY_KEYWORD in kept and not flag.startswith("\\"))
