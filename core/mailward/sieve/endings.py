"""How does a run, or a part of it, end before its last command?"""

from mailward.sieve.problems import Place


class RunProblem(Exception):
    """A script cannot go on; the message is kept and the owner told."""

    def __init__(self, text: str, place: Place | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.place = place


class Stop(Exception):
    """The script ends here (RFC 5228 section 3.3)."""


class Return(Stop):
    """The included script ends here, and the script itself where none is (RFC 6609 section 3.3)."""


class Break(Exception):
    """The innermost loop, or that of this name, ends here (RFC 5703 section 3.2)."""

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.name = name
