"""How do the tokens of a script fit together? (RFC 5228 section 8.2)

After a mistake reading goes on behind the command that holds it, or in its block, so that one run finds them all. Of a
`require` that cannot be read the names are taken all the same, since the rest of the script hangs on them. Nesting is bounded
before it is followed, hence the recursion is too.
"""

from mailward.sieve.lexer import Kind, Token, tokens
from mailward.sieve.limits import Limits
from mailward.sieve.problems import Place, Problems
from mailward.sieve.tree import Argument, Node, Number, Strings, Tag


class _Mistake(Exception):
    """The command cannot be read any further; its problem has been told."""


def parse(script: str, problems: Problems, limits: Limits) -> tuple[Node, ...]:
    """The commands of a script; what is wrong with it goes to the problems."""
    return _Parser(list(tokens(script, problems)), problems, limits).script()


class _Parser:
    def __init__(self, found: list[Token], problems: Problems, limits: Limits) -> None:
        self._tokens = found
        self._at = 0
        self._problems = problems
        self._limits = limits

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _is(self, sign: str) -> bool:
        return self._next.kind is Kind.SIGN and self._next.text == sign

    def _take(self, sign: str) -> bool:
        if self._is(sign):
            self._at += 1
            return True
        return False

    def _mistake(self, text: str, place: Place | None = None) -> _Mistake:
        """An unreadable token has been told of already."""
        if self._next.kind is not Kind.SIGN or self._next.text:
            self._problems.add(place or self._next.place, text)
        return _Mistake()

    def script(self) -> tuple[Node, ...]:
        commands = list(self._commands(0))
        while self._next.kind is not Kind.END:
            self._problems.add(self._next.place, "this '}' closes no block")
            self._at += 1
            commands.extend(self._commands(0))
        return tuple(commands)

    def _commands(self, depth: int) -> tuple[Node, ...]:
        commands: list[Node] = []
        while self._next.kind is not Kind.END and not self._is("}"):
            first = self._at
            try:
                commands.append(self._command(depth))
            except _Mistake:
                commands += self._skip(depth)
                if self._tokens[first].kind is Kind.NAME and self._tokens[first].text == "require":
                    commands.append(self._names_in(first))
        return tuple(commands)

    def _skip(self, depth: int) -> tuple[Node, ...]:
        """Go on behind the semicolon or the block of a command that could not be read. The commands of that block."""
        while self._next.kind is not Kind.END and not self._is("}"):
            if self._take(";"):
                return ()
            if self._take("{"):
                block = self._commands(depth + 1) if depth < self._limits.nesting else self._pass_over()
                self._take("}")
                return block
            self._at += 1
        return ()

    def _pass_over(self) -> tuple[Node, ...]:
        """Go on before the end of a block that is too deep to be read."""
        open_blocks = 1
        while self._next.kind is not Kind.END:
            open_blocks += self._is("{") - self._is("}")
            if not open_blocks:
                break
            self._at += 1
        return ()

    def _names_in(self, first: int) -> Node:
        """The require command that could not be read, as far as what was passed over holds strings."""
        passed = self._tokens[first : self._at]
        names = tuple(token.text for token in passed if token.kind is Kind.STRING)
        return Node("require", passed[0].place, (Strings(names, passed[0].place, True),))

    def _command(self, depth: int) -> Node:
        first = self._next
        if first.kind is not Kind.NAME:
            raise self._mistake(f"expected a command, but found {_shown(first)}")
        self._at += 1
        arguments = self._arguments(first)
        tests, has_list = self._tests(depth)
        if self._take(";"):
            return Node(first.text, first.place, arguments, tests, has_list)
        if self._is("{"):
            if depth >= self._limits.nesting:
                raise self._mistake(f"blocks and tests are nested deeper than {self._limits.nesting}")
            opened = self._next.place
            self._at += 1
            block = self._commands(depth + 1)
            if not self._take("}"):
                self._problems.add(opened, "this '{' opens a block that no '}' closes")
            return Node(first.text, first.place, arguments, tests, has_list, block)
        self._missing_semicolon(first, tests)
        return Node(first.text, first.place, arguments, tests, has_list)

    def _missing_semicolon(self, first: Token, tests: tuple[Node, ...]) -> None:
        """A command that ends without its semicolon: a command may follow, so nothing is passed over."""
        if self._next.kind in (Kind.NAME, Kind.END) or self._is("}"):
            self._problems.add(self._next.place, f"missing semicolon ';' after the {first.text} command")
        else:
            raise self._mistake(f"unexpected {_shown(self._next)} in the {first.text} command")

    def _arguments(self, owner: Token) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        while True:
            token = self._next
            if token.kind is Kind.TAG:
                arguments.append(Tag(token.text, token.place))
                self._at += 1
            elif token.kind is Kind.NUMBER:
                arguments.append(Number(token.number, token.place))
                self._at += 1
            elif token.kind is Kind.STRING:
                arguments.append(Strings((token.text,), token.place))
                self._at += 1
            elif self._is("["):
                arguments.append(self._list())
            else:
                return tuple(arguments)
            if len(arguments) > self._limits.arguments:
                raise self._mistake(f"too many arguments for {owner.text}", owner.place)

    def _list(self) -> Strings:
        place, values = self._next.place, list[str]()
        self._at += 1
        while True:
            if self._next.kind is not Kind.STRING:
                raise self._mistake(f"expected a string in the list, but found {_shown(self._next)}")
            values.append(self._next.text)
            self._at += 1
            if self._take("]"):
                return Strings(tuple(values), place, True)
            if not self._take(","):
                raise self._mistake(f"expected ',' or ']' in the list, but found {_shown(self._next)}")

    def _tests(self, depth: int) -> tuple[tuple[Node, ...], bool]:
        """The test or the test list that follows arguments."""
        if self._next.kind is Kind.NAME:
            return (self._test(depth + 1),), False
        if not self._take("("):
            return (), False
        found: list[Node] = []
        while True:
            found.append(self._test(depth + 1))
            if self._take(")"):
                return tuple(found), True
            if not self._take(","):
                raise self._mistake(f"expected ',' or ')' in the list of tests, but found {_shown(self._next)}")

    def _test(self, depth: int) -> Node:
        first = self._next
        if depth > self._limits.nesting:
            raise self._mistake(f"blocks and tests are nested deeper than {self._limits.nesting}")
        if first.kind is not Kind.NAME:
            raise self._mistake(f"expected a test, but found {_shown(first)}")
        self._at += 1
        arguments = self._arguments(first)
        tests, has_list = self._tests(depth)
        return Node(first.text, first.place, arguments, tests, has_list)


def _shown(token: Token) -> str:
    if token.kind is Kind.END:
        return "the end of the script"
    if token.kind is Kind.STRING:
        return "a string"
    return f"':{token.text[:20]}'" if token.kind is Kind.TAG else f"'{token.text[:20]}'"
