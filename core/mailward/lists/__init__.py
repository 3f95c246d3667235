"""Lists whose entries commands keep, for all policies: who put what on which, why, and until when."""

from mailward.lists.entries import Change, Changed, KeptEntry, ListError, Remark
from mailward.lists.questions import ListQuestions
from mailward.lists.store import ListStore

__all__ = ["Change", "Changed", "KeptEntry", "ListError", "ListQuestions", "ListStore", "Remark"]
