"""Many IMAP clients with random commands on four server processes over the same mail: none is told anything that is not so.

STRESS_ROUNDS says for how many rounds (`make stress`); each is some 400 packets of commands.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import pytest

from support.imap_crowd import Crowd
from support.imap_person import Person, Referee
from support.imap_view import View, Violation
from support.imap_worker import start_worker

ROUNDS = int(os.environ.get("STRESS_ROUNDS", "12"))
PEOPLE, PACKETS = 12, 25
WORKERS = 4
ENABLES: Sequence[tuple[str, ...]] = ((), ("QRESYNC",), ("IMAP4rev2",), ("QRESYNC", "IMAP4rev2"), ("CONDSTORE",), ("QRESYNC",))
SEED = 20261128


@pytest.fixture
def ports(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[int]]:
    """Of the server processes; in the end none has said anything of failures."""
    mail = tmp_path_factory.mktemp("i")  # short, for the paths of its sockets
    logs = [tmp_path / f"worker{number}.log" for number in range(WORKERS)]
    workers = [start_worker(mail, log) for log in logs]
    yield [port for _, port in workers]
    for process, _ in workers:
        process.communicate()
    for log in logs:
        assert "error" not in log.read_text(), log.read_text()[-8000:]


def _agrees(view: View, truth: View | None) -> bool:
    """What is known is so, and nothing else is missing or too much: new messages are known by their number only."""
    if truth is None or len(view.messages) != len(truth.messages):
        return False
    return all(one.uid is None or one.flags is None or one.flags == truth.known.get(one.uid) for one in view.messages)


async def _round(crowd: Crowd, people: Sequence[Person], chance: random.Random) -> None:
    """They work; when they rest, some have heard of everything while they idled, the others ask; and all know the same."""
    await asyncio.gather(*(person.work(PACKETS) for person in people))
    sleepers = [person for person in people if person.view is not None and chance.random() < 0.3]
    await asyncio.gather(*(sleeper.sleep() for sleeper in sleepers))
    await asyncio.gather(*(person.work(3) for person in people if person not in sleepers))
    boxes = await Referee(crowd, chance, "referee").read_all()
    crowd.settle(boxes)
    await asyncio.gather(*(one.wake(lambda view: _agrees(view, boxes.get(view.uidvalidity))) for one in sleepers))
    for person in people:
        await person.sync()
        if person.view is not None and person.view.known != boxes.get(person.view.uidvalidity, View("gone")).known:
            read = boxes.get(person.view.uidvalidity)
            raise Violation("\n".join((f"{person.name} knows {person.view.known}", f"it is {read and read.known}", *person.log)))


@pytest.mark.timeout(600 + 60 * ROUNDS)
async def test_t_imap_16_18_what_clients_of_several_processes_are_told_is_so_and_the_same_for_all(ports: Sequence[int]) -> None:
    chance = random.Random(SEED)
    crowd = Crowd(ports)
    people = [Person(crowd, random.Random(chance.random()), f"p{number}") for number in range(PEOPLE)]
    for person, words in zip(people, cycle(ENABLES)):
        person.enables = words
    for _ in range(ROUNDS):
        await _round(crowd, people, chance)
    for person in people:
        if not person.is_over:
            await person.leave()
