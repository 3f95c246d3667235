"""Where our answers differ from what another server states, and the sentence of an RFC that says why ours may."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Answers that differ. cases, answers: regular expressions of whole names."""

    cases: str
    answers: str
    sentence: str


def explain(rows: Sequence[Row], case: str, differing: Mapping[str, object]) -> None:
    """Fails where a case differs in what no row explains, and where a row of certain cases explains nothing there any more.

    differing: how our answer and theirs differ, by the answer's name.
    """
    of_case = [row for row in rows if re.fullmatch(row.cases, case)]
    explained = {row: [answer for answer in differing if re.fullmatch(row.answers, answer)] for row in of_case}
    known = {answer for answers in explained.values() for answer in answers}
    assert not {answer: how for answer, how in differing.items() if answer not in known}
    assert not [row for row, answers in explained.items() if not answers and ".*" not in row.cases], "it differs no more"
