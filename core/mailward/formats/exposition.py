"""Metrics as Prometheus reads them: its text format, version 0.0.4.

Names: `mailward_NAME` for the server's own, `mailward_PLUGIN__NAME` for a plugin's. No metric has two underscores in a row, so
no plugin can write under the name of another one or of the server.
"""

from collections.abc import Iterable, Iterator, Mapping

from mailward.model.metrics import Family


def full_name(family: Family) -> str:
    """Under which it is found; a counter's ends in `_total`."""
    owner = f"{family.owner}__" if family.owner else ""
    return f"mailward_{owner}{family.name}{'_total' if family.kind == 'counter' else ''}"


def text_of(families: Iterable[Family]) -> str:
    """The whole answer."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def data_of(families: Iterable[Family]) -> list[dict[str, object]]:
    """The same for JSON: name, kind, help and series; a bucket counts all values up to its bound."""
    return [
        {
            "name": full_name(family),
            "kind": family.kind,
            "help": family.text,
            "series": [
                {
                    "labels": dict(zip(family.labels, one.values, strict=True)),
                    **(
                        {"value": one.number}
                        if one.spread is None
                        else {
                            "buckets": [list(pair) for pair in one.spread.at_most],
                            "count": one.spread.count,
                            "sum": one.spread.total,
                        }
                    ),
                }
                for one in family.series
            ],
        }
        for family in families
    ]


def _lines(family: Family) -> Iterator[str]:
    name = full_name(family)
    yield f"# HELP {name} {_escaped(family.text)}"
    yield f"# TYPE {name} {family.kind}"
    for one in family.series:
        labels = dict(zip(family.labels, one.values, strict=True))
        if one.spread is None:
            yield _sample(name, labels, one.number)
            continue
        for bound, count in one.spread.at_most:
            yield _sample(f"{name}_bucket", {**labels, "le": _number(bound)}, count)
        yield _sample(f"{name}_bucket", {**labels, "le": "+Inf"}, one.spread.count)
        yield _sample(f"{name}_sum", labels, one.spread.total)
        yield _sample(f"{name}_count", labels, one.spread.count)


def _sample(name: str, labels: Mapping[str, str], number: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(value, quotes=True)}"' for label, value in labels.items())
    return f"{name}{{{pairs}}} {_number(number)}" if pairs else f"{name} {_number(number)}"


def _number(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
