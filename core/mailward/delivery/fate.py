"""What became of one recipient of a relaying attempt; from here it goes into the journal, to the sender, and to `explain`."""

from dataclasses import dataclass, replace

from mailward.protocol.smtp.outgoing import Result


@dataclass(frozen=True, slots=True)
class Fate:
    """status: enhanced code. words: the reply, or ours. remote_mta: who said them, "" for us.

    text: for the log, `explain` and the journal. is_ours: the failure is a fault of this server. reports_there: `remote_mta`
    will tell the sender of the delivery, when that is wanted; times_there: and that it is late, or return it (RFC 2852).
    """

    result: Result
    status: str
    words: str
    remote_mta: str
    text: str
    is_ours: bool = False
    reports_there: bool = False
    times_there: bool = False

    @property
    def given_up(self) -> "Fate":
        """What is told when nothing more is tried: a fault of ours is no longer a temporary one (RFC 3463 section 3.4)."""
        return replace(self, status="5.3.0") if self.is_ours else self


def local_problem(text: str) -> Fate:
    """A failure of our own, which an admin must mend. What it is in particular is not for the sender."""
    return Fate(Result.TEMPORARY, "4.3.0", "A fault of this mail server kept it from sending the mail", "", text, is_ours=True)


def delivered(text: str) -> Fate:
    """It is in a mailbox here."""
    return Fate(Result.ACCEPTED, "2.0.0", "", "", text)


def unsendable(reason: str) -> Fate:
    """The fault is in the message itself."""
    words = f"This mail server cannot send the message as it is: {reason}"
    return Fate(Result.PERMANENT, "5.6.0", words, "", words)


def removed() -> Fate:
    """Its account is no more."""
    words = "There is no such mailbox here any more"
    return Fate(Result.PERMANENT, "5.1.1", words, "", words)


def refused(reason: str, text: str) -> Fate:
    """Its recipient does not want it (RFC 5429). text: for `explain`."""
    return Fate(Result.PERMANENT, "5.7.1", f"The recipient refuses it: {reason}", "", text)


def mailbox_full(why: str) -> Fate:
    """It waited for room in vain (RFC 3463 section 3.3). why: for the admin; how much a user holds is not the sender's."""
    return Fate(Result.PERMANENT, "5.2.2", "The mailbox is full", "", f"mailbox full: {why}")


def too_late(deadline: str) -> Fate:
    """Its sender does not want it delivered any more (RFC 2852, mode R). deadline: ISO 8601."""
    words = f"It could not be delivered by {deadline}, as its sender wants"
    return Fate(Result.PERMANENT, "5.4.7", words, "", words)
