"""Of which accounts a session hears: its own, that of the selected mailbox, and others that it asked to be told of."""

from collections.abc import Callable, Collection
from functools import partial

from mailward.model.ids import AccountId

Stop = Callable[[], None]


def _nothing() -> None:
    pass


class Watches:
    """watch: see `Desk`. note_news: called when one of the accounts may have changed. heard: of which there was news."""

    def __init__(self, watch: Callable[[AccountId, Callable[[], None]], Stop], note_news: Callable[[], None]) -> None:
        self._watch = watch
        self._note_news = note_news
        self.heard = set[AccountId]()
        self._stop_own: Stop = _nothing
        self._stop_selected: Stop = _nothing
        self._stop_others: dict[AccountId, Stop] = {}

    def own(self, account: AccountId) -> None:
        """Hear of news of this account from now on."""
        self._stop_own = self._watch(account, partial(self._hear, account))

    def selected(self, account: AccountId | None) -> None:
        """Of this one too, whose mailbox is selected; None where that is our own, or none is."""
        self._stop_selected()
        self._stop_selected = _nothing if account is None else self._watch(account, partial(self._hear, account))

    def others(self, accounts: Collection[AccountId]) -> set[AccountId]:
        """Of these too, whose mailboxes the client asked to be told of, and of no others any more. Those that are new."""
        for account in self._stop_others.keys() - {*accounts}:
            self._stop_others.pop(account)()
        new = {*accounts} - self._stop_others.keys()
        for account in new:  # by a function of its own, since the account may be that of the selected mailbox
            self._stop_others[account] = self._watch(account, partial(self._hear, account))
        return new

    def take_heard(self) -> set[AccountId]:
        """Of which accounts there was news since this was called."""
        heard, self.heard = self.heard, set()
        return heard

    def _hear(self, account: AccountId) -> None:
        self.heard.add(account)
        self._note_news()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._stop_own()
        self.selected(None)
        self.others(())
