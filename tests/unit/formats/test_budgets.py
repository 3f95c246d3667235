"""The numbers that bound what is read."""

import ast
import inspect
from collections import Counter

import pytest

from mailward.formats import budgets
from mailward.formats.parameters import parse_parameterised


def test_each_budget_has_one_number() -> None:
    tree = ast.parse(inspect.getsource(budgets))
    names = Counter(
        target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(("count", "most"), [(16, budgets.PARAMETER_READINGS), (200, budgets.PARAMETERS)])
def test_t_mime_01_a_boundary_has_a_bounded_number_of_readings(count: int, most: int) -> None:
    value = b"multipart/mixed" + b"".join(b'; boundary="a%d"(c)b%d' % (n, n) for n in range(count))
    found = parse_parameterised(value)
    assert len(found.boundaries) <= most
    assert "TOO_MANY_PARAMETERS" in found.problems
