"""Which message answers which? REFERENCES, Dovecot's REFS and ORDEREDSUBJECT (RFC 5256 sections 2.1 and 3), without I/O.

No recursion, and in n log n whatever the messages say of each other (T-IMAP-10): who is whose ancestor is asked of a union-find
forest, and lists of children are linked. Arrays and no object a message: the collector looks through objects in one go, for a
tenth of a second where they are as many as a mailbox may have messages, in which nobody else has a turn (T-DOS-08).
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from mailward.access.imap.turns import sorted_in_turns

NOBODY = -1


class Trees:
    """Threads. Numbers below `messages` are those of messages; others stand for what is only referred to, at the top alone.

    roots: of all threads. The children of each are linked, the first one to the next.
    """

    def __init__(self, messages: int, count: int | None = None) -> None:
        self.messages = messages
        self.roots: list[int] = []
        nobodies = array("i", (NOBODY,)) * (messages if count is None else count)
        self._first, self._last, self._next = nobodies[:], nobodies[:], nobodies

    def new(self) -> int:
        """The number of one without a message."""
        for numbers in (self._first, self._last, self._next):
            numbers.append(NOBODY)
        return len(self._next) - 1

    def is_message(self, number: int) -> bool:
        return number < self.messages

    def first_message(self, number: int) -> int:
        """Itself, or its first child."""
        return number if number < self.messages else self._first[number]

    def children(self, number: int) -> list[int]:
        found: list[int] = []
        child = self._first[number]
        while child != NOBODY:
            found.append(child)
            child = self._next[child]
        return found

    def has_several(self, number: int) -> bool:
        """Children."""
        return self._first[number] != self._last[number]

    def add(self, parent: int, child: int) -> None:
        """Behind the other children."""
        self._join(parent, child, child)

    def adopt(self, parent: int, other: int) -> None:
        """The children of another one, behind its own."""
        if self._first[other] != NOBODY:
            self._join(parent, self._first[other], self._last[other])
            self._first[other] = self._last[other] = NOBODY

    def _join(self, parent: int, first: int, last: int) -> None:
        if self._first[parent] == NOBODY:
            self._first[parent] = first
        else:
            self._next[self._last[parent]] = first
        self._last[parent] = last

    def sort(self, ranks: Sequence[int]) -> None:
        """All children, then the roots. ranks: of each message."""

        def key(number: int) -> int:
            return ranks[self.first_message(number)]

        for parent in range(len(self._first)):
            if self.has_several(parent):
                children = sorted_in_turns(self.children(parent), key)
                for child, following in zip(children, (*children[1:], NOBODY), strict=True):
                    self._next[child] = following
                self._first[parent], self._last[parent] = children[0], children[-1]
        self.roots = sorted_in_turns(self.roots, key)

    def below(self, root: int) -> Iterator[int]:
        """The messages of a thread."""
        stack = [root]
        while stack:
            number = stack.pop()
            if number < self.messages:
                yield number
            stack += self.children(number)


class _Forest:
    """Who is whose parent, by number; at first nobody's. A link that would close a circle is not made."""

    def __init__(self, count: int) -> None:
        self.parents = [NOBODY] * count
        self._above = list(range(count))
        """Some ancestor, or oneself at the top."""

    def new(self) -> int:
        self.parents.append(NOBODY)
        self._above.append(len(self._above))
        return len(self.parents) - 1

    def link(self, parent: int, child: int) -> None:
        """Nothing happens when the child has a parent."""
        if self.parents[child] == NOBODY and (top := self._top(parent)) != child:
            self.parents[child] = parent
            self._above[child] = top

    def _top(self, number: int) -> int:
        above = self._above
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number


def by_references(ids: Sequence[bytes]) -> Trees:
    """Steps 1 to 3 of REFERENCES; nothing is sorted. ids: of each message, see `store.base.Column`."""
    forest = _Forest(len(ids))
    numbers = array("Q", b"".join(ids))
    ends = array("L", accumulate(len(octets) // numbers.itemsize for octets in ids))
    starts = array("L", (0,)) + ends[:-1]
    known: dict[int, int] = {}
    for message, start in enumerate(starts[: len(ids)]):
        known.setdefault(numbers[start], message)  # what repeats another's id has none (step 1.A)
    for message, (start, end) in enumerate(zip(starts, ends, strict=False)):
        before = NOBODY
        for id in numbers[start + 1 : end]:
            there = known.get(id)
            if there is None:
                there = known[id] = forest.new()
            # A message says itself whom it answers, and its own word breaks what others said before (step 1.C).
            is_free = there >= len(ids) or (there <= message and ends[there] - starts[there] == 1)
            if before != NOBODY and is_free:
                forest.link(before, there)
            before = there
        if before != NOBODY:
            forest.link(before, message)
    return _pruned(forest.parents, len(ids))


def _pruned(parents: Sequence[int], messages: int) -> Trees:
    """Step 3: what is only referred to goes, and its children take its place, but several never at the top."""
    trees = Trees(messages, len(parents))
    for number in _leaves_first(parents):
        parent = parents[number]
        stays = number < messages or (parent == NOBODY and trees.has_several(number))
        if parent == NOBODY:
            trees.roots += [number] if stays else trees.children(number)
        elif stays:
            trees.add(parent, number)
        else:
            trees.adopt(parent, number)
    return trees


def _leaves_first(parents: Sequence[int]) -> list[int]:
    """All numbers, each behind its children."""
    waiting = [0] * len(parents)
    for parent in parents:
        if parent != NOBODY:
            waiting[parent] += 1
    order = [number for number, children in enumerate(waiting) if not children]
    for number in order:  # grows meanwhile
        parent = parents[number]
        if parent != NOBODY:
            waiting[parent] -= 1
            if not waiting[parent]:
                order.append(parent)
    return order


def sort_by_date(trees: Trees, dates: Sequence[int]) -> None:
    """Steps 4 and 6: siblings by date, then by number; one without a message counts as its first child."""
    ranks = array("i", (0,)) * trees.messages
    for rank, at in enumerate(sorted_in_turns(range(trees.messages), dates.__getitem__)):
        ranks[at] = rank
    trees.sort(ranks)


def sort_by_latest(trees: Trees, dates: Sequence[int]) -> None:
    """The roots by the latest date among all their messages, as REFS wants them; equal ones by their first message."""
    latest = {root: max(dates[message] for message in trees.below(root)) for root in trees.roots}
    trees.roots = sorted_in_turns(sorted_in_turns(trees.roots, trees.first_message), latest.__getitem__)


def join_by_subject(trees: Trees, subjects: Sequence[str], answers: Callable[[Sequence[int]], set[int]]) -> None:
    """Step 5: the roots, those of one subject together. subjects: base subjects, "" joins nothing.

    answers: which of some messages have the subject of a reply or of a forwarded message; asked once.
    """
    heads: dict[str, int] = {}
    found: list[int] = []
    others: dict[str, array[int]] = {}
    for root in trees.roots:
        subject = subjects[trees.first_message(root)]
        if not subject:
            found.append(root)
        elif subject not in heads:
            heads[subject] = root
        else:
            others.setdefault(subject, array("i", (heads[subject],))).append(root)
    together = [root for group in others.values() for root in group if trees.is_message(root)]
    are_answers = answers(together) if together else set()
    for subject, group in others.items():
        head = at_head = _head(trees, group, are_answers)
        for root in group:
            if root != at_head:
                head = _joined(trees, head, root, are_answers)
        heads[subject] = head
    trees.roots = [*found, *heads.values()]


def _head(trees: Trees, group: Sequence[int], answers: set[int]) -> int:
    """Step 5.B: the first without a message, else the first that is no answer, else the first."""
    bare = next((root for root in group if not trees.is_message(root)), None)
    return next((root for root in group if root not in answers), group[0]) if bare is None else bare


def _joined(trees: Trees, head: int, root: int, answers: set[int]) -> int:
    """Step 5.C: the head of the two."""
    if not trees.is_message(head):
        if trees.is_message(root):
            trees.add(head, root)
        else:
            trees.adopt(head, root)
        return head
    if root in answers and head not in answers:
        trees.add(head, root)
        return head
    both = trees.new()
    trees.add(both, head)
    trees.add(both, root)
    return both


def by_subject(subjects: Sequence[str], dates: Sequence[int]) -> Trees:
    """ORDEREDSUBJECT: the first message of each base subject with all later ones as its children."""
    trees = Trees(len(subjects))
    threads: dict[str, int] = {}
    for at in sorted_in_turns(range(len(subjects)), dates.__getitem__):
        if subjects[at] in threads:
            trees.add(threads[subjects[at]], at)
        else:
            threads[subjects[at]] = at
    trees.roots += threads.values()
    return trees


def written(trees: Trees, numbers: Sequence[int]) -> str:
    """The threads as THREAD tells them: `(2)(3 6 (4 23)(44 7 96))`. numbers: what each message is called."""
    parts: list[str] = []
    stack: list[int] = []  # NOBODY where a parenthesis is closed
    for root in trees.roots:
        stack.append(root)
        while stack:
            item = stack.pop()
            if item == NOBODY:
                parts.append(")")
                continue
            children = trees.children(item)
            if not children:
                parts.append(f"({numbers[item]})")
                continue
            parts.append(f"({numbers[item]} " if trees.is_message(item) else "(")
            stack.append(NOBODY)
            while len(children) == 1:
                (item,) = children
                children = trees.children(item)
                parts.append(f"{numbers[item]} " if children else f"{numbers[item]}")
            stack += reversed(children)
    return "".join(parts)
