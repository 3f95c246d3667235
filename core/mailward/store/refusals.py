"""Why a store does not do an op. The texts are for people."""


class StoreRefusal(Exception):
    """An op that cannot be done; nothing of its list was applied."""


class NoSuchMailbox(StoreRefusal): ...


class MailboxExists(StoreRefusal): ...


class NotPermitted(StoreRefusal):
    """Deleting INBOX, an impossible name, and the like."""


class NoSuchScript(StoreRefusal): ...


class ScriptExists(StoreRefusal): ...


class ScriptActive(StoreRefusal): ...


class OverQuota(StoreRefusal):
    """The account would hold more than it may."""


class MailboxFull(OverQuota):
    """The mailbox would have more messages than any may."""


class TooMany(StoreRefusal):
    """More than there may be: of an account's mailboxes, of its subscriptions, of what one command carries."""


class SpecialUseRefused(StoreRefusal):
    """There is no such special use, or another mailbox has it."""


class TooManyScripts(StoreRefusal): ...


class TooManyAnnotations(StoreRefusal):
    """Of the account, or they would be too long together."""


class AnnotationTooLong(StoreRefusal): ...
