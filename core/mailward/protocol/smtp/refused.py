"""How is a command refused whose argument cannot be read?"""

from mailward.model.errors import PeerError
from mailward.model.reply import Reply


class RefusedError(PeerError):
    """A command that cannot be carried out as it stands; `reply` is the answer."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer), answer.to_octets())
        self.reply = answer
