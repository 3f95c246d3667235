"""The `tests:` of a policy file become tests that can run: addresses, facts and expectations checked."""

from collections.abc import Collection, Iterable

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.nearest import nearest
from mailward.formats.network import parsed_ip
from mailward.formats.yaml_nodes import Node
from mailward.model.address import Address
from mailward.model.errors import Problem
from mailward.model.evidence import FactValue
from mailward.model.verdict import Verdict
from mailward.policy.directions import RULES, Direction
from mailward.policy.facts import FactSpec, Vocabulary
from mailward.policy.match import unknown_fact
from mailward.policy.schema import MessageKeys, TestKeys, found, validate
from mailward.policy.tests import SYMBOLS, Expected, PolicyTest, TestMessage

_VERDICTS = tuple(verdict.value for verdict in Verdict)
_LOGIN = ""
"""What stands for the recipient where there is none."""


def policy_tests(
    nodes: Iterable[Node], vocabulary: Vocabulary, rules: Collection[str], problems: list[Problem]
) -> tuple[PolicyTest, ...]:
    """All tests; those with mistakes are left out, the mistakes added to `problems`. rules: the names of all rules."""
    tests = []
    for index, node in enumerate(nodes):
        path = f"tests[{index}]"
        keys = validate(TestKeys, node, path, problems)
        if keys is None:
            continue
        message = None if keys.message is None else _message(keys.message, node, path, problems)
        if (message is None) == (RULES[vocabulary.direction].last == "message"):
            problems.append(_message_problem(keys, node, path, vocabulary.direction))
        given, symbols = _given(keys, node, path, vocabulary, problems)
        expected = _expected(keys, message, node, path, rules, problems)
        if message is None and keys.live:
            problems.append(Problem(node.where_of(["live"]), f"{path}.live", "only tests with a message can be live"))
        if keys.message is not None and keys.message.attach is not None and not keys.live:
            text = "an attachment is only sent by live tests"
            problems.append(
                Problem(node.where_of(["message", "attach"]), f"{path}.message.attach", text, "Add live: true, or use given:.")
            )
        if keys.live and keys.shadow:
            text = "a live test is judged as mail is: what is in shadow does not count"
            problems.append(Problem(node.where_of(["shadow"]), f"{path}.shadow", text, "Leave out shadow: or live:."))
        tests.append(PolicyTest(keys.name, node.where, keys.live, message, given, symbols, expected, shadow=keys.shadow))
    return tuple(tests)


def _message_problem(keys: TestKeys, node: Node, path: str, direction: Direction) -> Problem:
    if keys.message is None:
        return Problem(node.where, f"{path}.message", "the key 'message' is missing")
    text = f"in {direction} there is no message"
    return Problem(node.where_of(["message"]), f"{path}.message", text, "Give facts in `given:`.")


def _message(message: MessageKeys, node: Node, path: str, problems: list[Problem]) -> TestMessage:
    def address(text: str, name: str) -> Address | None:
        try:
            return parse_mailbox(text)
        except AddressSyntaxError as error:
            text = f"'{text[:80]}' is no address: {error}"
            problems.append(Problem(node.where_of(["message", name]), f"{path}.message.{name}", text))
            return None

    if not message.rcpt:
        place = node.where_of(["message", "rcpt"])
        problems.append(Problem(place, f"{path}.message.rcpt", "a message for nobody has no verdict", "Write bob@example.org."))
    recipients = tuple(a for a in (address(text, "rcpt") for text in message.rcpt) if a is not None)
    return TestMessage(
        mail_from=address(message.mail_from, "mail_from") if message.mail_from else None,
        recipients=recipients,
        author=None if message.author is None else address(message.author, "author"),
        subject=message.subject,
        text=message.text,
        attach_eicar=message.attach is not None,
    )


def _given(
    keys: TestKeys, node: Node, path: str, vocabulary: Vocabulary, problems: list[Problem]
) -> tuple[dict[str, FactValue], tuple[tuple[str, str], ...]]:
    given: dict[str, FactValue] = {}
    symbols: list[tuple[str, str]] = []

    def problem(name: str, text: str, hint: str = "") -> None:
        problems.append(Problem(node.where_of(["given", name]), f"{path}.given.{name}", text, hint))

    for name, value in keys.given.items():
        if name == "score":
            problem(name, "the score cannot be given", "Give `symbols: [...]`; their points add up to the score.")
        elif name == SYMBOLS:
            for symbol in value if isinstance(value, tuple) else (value,):
                if symbol in vocabulary.symbols:
                    symbols.append((vocabulary.symbols[symbol], symbol))
                else:
                    problem(name, f"no symbol is called '{symbol}'", nearest(str(symbol), vocabulary.symbols))
        elif name not in vocabulary.facts:
            for mistake in unknown_fact(name, vocabulary):
                problem(name, mistake.text, mistake.hint)
        else:
            fitting = _fitting(value, vocabulary.facts[name])
            if name == "peer.ip" and isinstance(fitting, str) and parsed_ip(fitting) is None:
                problem(name, f"an IP address was expected, {found(value)} was found")
            elif fitting is None:
                problem(name, f"{vocabulary.facts[name].type_name} was expected, {found(value)} was found")
            else:
                given[name] = fitting
    return given, tuple(symbols)


def _fitting(value: object, spec: FactSpec) -> FactValue | None:
    """The value with the fact's type, None when it has another. A whole number will do for a number."""
    default = spec.default
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple):
        return value if isinstance(value, tuple) and all(isinstance(item, str) for item in value) else None
    return value if isinstance(value, (str, int, float)) and type(value) is type(default) else None


def _expected(
    keys: TestKeys, message: TestMessage | None, node: Node, path: str, rules: Collection[str], problems: list[Problem]
) -> dict[str, Expected]:
    expected: dict[str, Expected] = {}
    common: dict[str, object] = {}

    def problem(name: str, text: str, hint: str = "") -> None:
        problems.append(Problem(node.where_of(["expect", name]), f"{path}.expect.{name}", text, hint))

    recipients = {} if message is None else {str(address).lower(): str(address) for address in message.recipients}
    for name, value in keys.expect.items():
        if "@" not in name:
            common[name] = value
        elif name.lower() not in recipients:
            problem(name, "the message of this test has no such recipient", nearest(name, recipients))
        elif value not in _VERDICTS:
            problem(name, f"a verdict was expected, {found(value)} was found", nearest(str(value), _VERDICTS))
        else:
            expected[recipients[name.lower()]] = Expected(verdict=str(value))
    verdict, rule, score = common.pop("verdict", None), common.pop("rule", None), common.pop("score", None)
    for name in common:
        problem(name, f"there is no key '{name}' here", "Keys: verdict, rule, score, or the address of a recipient.")
    if verdict is not None and verdict not in _VERDICTS:
        problem("verdict", f"a verdict was expected, {found(verdict)} was found", nearest(str(verdict), _VERDICTS))
    if rule is not None and rule not in rules:
        problem("rule", f"no rule is called {found(rule)}", nearest(str(rule), rules))
    if score is not None and (isinstance(score, bool) or not isinstance(score, (int, float))):
        problem("score", f"a number was expected, {found(score)} was found")
        score = None
    if not keys.expect:
        problems.append(
            Problem(node.where_of(["expect"]), f"{path}.expect", "nothing is expected", "Give verdict: or a recipient's.")
        )
    if (verdict, rule, score) != (None, None, None):
        for shown in (_LOGIN,) if message is None else recipients.values():
            own = expected.get(shown)
            expected[shown] = Expected(
                verdict=own.verdict if own is not None else _text_or_none(verdict),
                rule=_text_or_none(rule),
                score=float(score) if isinstance(score, (int, float)) else None,
            )
    return expected


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
