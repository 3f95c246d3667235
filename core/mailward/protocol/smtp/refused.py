"""How is a command refused whose argument cannot be read?"""

from mailward.model.errors import PeerError
from mailward.model.replies import WRONG_VALUE
from mailward.model.reply import Reply


class RefusedError(PeerError):
    """A command that cannot be carried out as it stands; `reply` is the answer."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer), answer.to_octets())
        self.reply = answer


def wrong_value(parameter: str, wants: str) -> Reply:
    """The answer to a parameter whose value cannot be read. wants: what it must be, behind the parameter's name."""
    return WRONG_VALUE.filled(parameter=parameter, wants=wants)
