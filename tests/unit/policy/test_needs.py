"""What a condition needs is found in its words, and never changes what it comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.evidence import FactValue
from mailward.policy.facts import Vocabulary, comparable, is_cut
from mailward.policy.match import ConditionFailed, compile_condition
from mailward.policy.variables import Variables, group

VOCABULARY = Vocabulary("inbound", {}, {})
TEXTS = ("", "a", "example.net", "Grüße", "x" * 2100, "b\udcff")
LEAVES = (
    'helo.name == "example.net"', "helo.name == 'a'", 'helo.name != "a"', 'helo.name == r"a"', "mail_from.is_null", "!mail_from.is_null",
    "mail_from.is_null == false", "!(mail_from.is_null == true)", 'helo.name.endsWith("net")', 'mail_from.domain == "Grüße"',
    'mail_from.domain == "a" || mail_from.is_null', '(mail_from.domain == "a")', "message.size_octets == 1", "score > 1.0",
    '"a" == helo.name', 'mail_from.is_null ? helo.name == "a" : true', 'message.anomalies.exists(one, one == "BARE_LF")',
    f'mail_from.domain == "{"x" * 2000}"', 'mail_from.domain == "b?"',
)  # fmt: skip
FACTS = st.fixed_dictionaries(
    {
        "helo.name": st.sampled_from(TEXTS),
        "mail_from.domain": st.sampled_from(TEXTS),
        "mail_from.is_null": st.booleans(),
        "message.size_octets": st.sampled_from([0, 1]),
        "message.anomalies": st.sampled_from([(), ("BARE_LF",)]),
        "score": st.sampled_from([0.0, 2.0]),
    }
)


def listed(value: object, name: object) -> bool:
    return False


@given(leaves=st.lists(st.sampled_from(LEAVES), min_size=1, max_size=4, unique=True), facts=FACTS)
def test_a_condition_with_needs_is_what_the_library_says(leaves: list[str], facts: dict[str, FactValue]) -> None:
    source = " && ".join(f"({leaf})" if " ? " in leaf or " || " in leaf else leaf for leaf in leaves)
    condition, problems = compile_condition(source, VOCABULARY, frozenset(), listed)
    assert condition is not None, problems
    defaults = {name: VOCABULARY.facts[name].default for name in condition.names}
    variables = Variables(group(defaults), facts, listed)
    known = {name: comparable(facts[name]) for name, _ in condition.needs}
    cut = {name for name in condition.names if is_cut(facts[name])}
    if cut and all(known[name] == value for name, value in condition.needs):
        with pytest.raises(ConditionFailed, match="longer than conditions read"):
            condition.holds(variables, known, cut)
    elif cut:
        assert condition.holds(variables, known, cut) is False
    else:
        assert condition.holds(variables, known, cut) == condition.program.execute(variables.context(condition.roots))


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ('helo.name == "a" && score > 1.0 && !mail_from.is_null', (("helo.name", "a"), ("mail_from.is_null", False))),
        ('mail_from.is_null && (helo.name == "a" || score > 1.0)', (("mail_from.is_null", True),)),
        ('helo.name == "a" || mail_from.is_null', ()),
        ('mail_from.is_null ? helo.name == "a" : true', ()),
        ('!(helo.name == "a")', ()),
        ('helo.name == "a\\\\n"', ()),
        ("recipient.is_local == true", (("recipient.is_local", True),)),
        ("message.size_octets == 1", ()),
    ],
)
def test_only_what_must_be_so_is_a_need(source: str, needs: tuple[tuple[str, FactValue], ...]) -> None:
    condition, problems = compile_condition(source, VOCABULARY, frozenset(), listed)
    assert condition is not None, problems
    assert condition.needs == needs


def test_what_is_false_whatever_the_rest_is_false_though_the_rest_cannot_be_evaluated() -> None:
    """CEL's && is false when either side is, whether or not the other fails (CEL specification, "Logical Operators")."""
    condition, _ = compile_condition('helo.name == "a" && 1 / message.size_octets == 1', VOCABULARY, frozenset(), listed)
    assert condition is not None
    facts: dict[str, FactValue] = {"helo.name": "b", "message.size_octets": 0}
    variables = Variables(group(facts), facts, listed)
    assert condition.holds(variables, {"helo.name": "b"}, frozenset()) is False
    variables = Variables(group(facts), {**facts, "helo.name": "a"}, listed)
    with pytest.raises(ConditionFailed):
        condition.holds(variables, {"helo.name": "a"}, frozenset())
