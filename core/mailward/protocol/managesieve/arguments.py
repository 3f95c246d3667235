"""What stands behind a command, taken as what the command needs (RFC 5804 section 4)."""

from mailward.protocol.managesieve.names import MOST_OCTETS, is_name
from mailward.protocol.managesieve.reading import Token


class BadCommand(Exception):
    """A command that cannot be taken; text and response code of its NO."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class Arguments:
    """Those of one command. Raises BadCommand where there are not as many as least and most say, or one is of another kind."""

    def __init__(self, tokens: tuple[Token, ...], least: int, most: int) -> None:
        if not least <= len(tokens) <= most:
            few = f"{least} to {most}" if least != most else str(most)
            raise BadCommand(f"The command takes {few if most else 'no'} argument{'' if most == 1 else 's'}")
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def octets(self, place: int) -> bytes:
        token = self._tokens[place]
        if not isinstance(token, bytes):
            raise BadCommand("A string was expected: a word in quotes, or a literal")
        return token

    def number(self, place: int) -> int:
        token = self._tokens[place]
        if not isinstance(token, int):
            raise BadCommand("A number was expected")
        return token

    def name(self, place: int) -> str:
        """A script's."""
        octets = self.octets(place)
        try:
            name = octets.decode()
        except UnicodeDecodeError:
            raise BadCommand("The name of a script is UTF-8") from None
        if not is_name(name):
            raise BadCommand(f"The name of a script has 1 to {MOST_OCTETS} octets and no control characters")
        return name
