"""What a store knows of the texts of messages, so that a search need not read them all. The engine's own is in `textmarks`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class Marks(Protocol):
    """Of one account. All of it may be forgotten, and is then made again."""

    def may_hold(self, messages: Sequence[int], text: str) -> Sequence[bool | None]:
        """Of each message whether the texts that `add` was given of it may hold this one; None when there were none.

        False is sure; True and None have to be looked at. Never raises.
        """
        ...

    def add(self, texts: Mapping[int, Iterable[str] | None]) -> None:
        """Remember in which texts of a message searches look, as far as `may_hold` needs it; None: in more than is worth it.

        The texts of one message after another are taken. Raises nothing but what taking a text raises.
        """
        ...

    def begin(self, message: int) -> None:
        """Remember that its texts are about to be read. Whoever's process is killed meanwhile need not meet the message again.

        Raises StorageError: then it had better not be read.
        """
        ...

    def begun(self) -> Sequence[int]:
        """Messages whose reading was begun, and of which `add` has not been told since, in order. Never raises."""
        ...

    def unmarked(self, after: int = 0) -> Sequence[int]:
        """Messages above this number that are in mailboxes and neither added nor begun, the latest first; () where the marks
        cannot be read: these are begun anew. Raises StorageError where the mailboxes cannot be read."""
        ...
