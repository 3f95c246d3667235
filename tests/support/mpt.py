"""Apache James' MPT scripts: what a client sends, and patterns of what answers it (format: the corpora's READMEs)."""

from dataclasses import dataclass, field


@dataclass
class Step:
    """What one session sends, lines joined by CRLF and without the last one, and patterns of the lines that answer it."""

    command: str
    answers: list[str] = field(default_factory=list)
    session: int = 1


def steps_of(text: str) -> list[Step]:
    """A script's. Those whose answers are in any order are not marked, and waits for James' own indexer are left out."""
    found: list[Step] = []
    session, was_client = 1, False
    for line in text.split("\n"):
        if line.startswith("SESSION:"):
            session = int(line.partition(":")[2])
        elif line.startswith("C:"):
            if was_client:
                found[-1].command += "\r\n" + line[3:]
            else:
                found.append(Step(line[3:], session=session))
        elif line.startswith("S:"):
            found[-1].answers.append(line[3:])
        was_client = line.startswith("C:") or (was_client and not line)
    return found
