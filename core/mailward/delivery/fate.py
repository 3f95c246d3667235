"""What became of one recipient of a relaying attempt; from here it goes into the journal, to the sender, and to `explain`."""

from dataclasses import dataclass

from mailward.protocol.smtp.outgoing import Result


@dataclass(frozen=True, slots=True)
class Fate:
    """status: enhanced code. words: the reply, or ours. remote_mta: who said them, "" for us.

    text: for the log, `explain` and the journal.
    """

    result: Result
    status: str
    words: str
    remote_mta: str
    text: str


def local_problem(text: str) -> Fate:
    """A failure of our own, which an admin must mend: it has no status, and is never given up."""
    return Fate(Result.TEMPORARY, "", text, "", text)
