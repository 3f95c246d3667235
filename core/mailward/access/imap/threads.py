"""Which message answers which? REFERENCES, Dovecot's REFS and ORDEREDSUBJECT (RFC 5256 sections 2.1 and 3), without I/O.

No recursion, and in n log n whatever the messages say of each other (T-IMAP-10): who is whose ancestor is asked of a union-find
forest, and lists of children are joined by moving the shorter one.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

NOBODY = -1


@dataclass(slots=True, eq=False)
class Node:
    """One message and those that answer it. at: which of the messages, NOBODY for one that is only referred to."""

    at: int
    children: "list[Node]" = field(default_factory=list)


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


def by_references(ids: Sequence[bytes]) -> list[Node]:
    """Steps 1 to 3 of REFERENCES: the roots, nothing sorted. ids: of each message, see `store.base.Column`."""
    forest = _Forest(len(ids))
    read = [array("Q", octets) for octets in ids]
    known: dict[int, int] = {}
    for number, numbers in enumerate(read):
        known.setdefault(numbers[0], number)  # what repeats another's id has none (step 1.A)
    for number, numbers in enumerate(read):
        before = NOBODY
        for id in numbers[1:]:
            there = known.get(id)
            if there is None:
                there = known[id] = forest.new()
            # A message says itself whom it answers, and its own word breaks what others said before (step 1.C).
            is_free = there >= len(ids) or (there <= number and len(read[there]) == 1)
            if before != NOBODY and is_free:
                forest.link(before, there)
            before = there
        if before != NOBODY:
            forest.link(before, number)
    return _pruned(forest.parents, len(ids))


def _pruned(parents: Sequence[int], messages: int) -> list[Node]:
    """Step 3: what is only referred to goes, and its children take its place, but several never at the top."""
    nodes = [Node(number if number < messages else NOBODY) for number in range(len(parents))]
    roots: list[Node] = []
    for number in _leaves_first(parents):
        node, parent = nodes[number], parents[number]
        siblings = roots if parent == NOBODY else nodes[parent].children
        if node.at != NOBODY or (parent == NOBODY and len(node.children) > 1):
            siblings.append(node)
        elif parent == NOBODY or len(siblings) >= len(node.children):
            siblings.extend(node.children)
        else:
            node.children.extend(siblings)
            nodes[parent].children = node.children
    return roots


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


def sort_by_date(roots: list[Node], dates: Sequence[int]) -> None:
    """Steps 4 and 6: siblings by date, then by number; one without a message counts as its first child."""
    ranks = [0] * len(dates)
    for rank, at in enumerate(sorted(range(len(dates)), key=dates.__getitem__)):
        ranks[at] = rank

    def key(node: Node) -> int:
        return ranks[node.at if node.at != NOBODY else node.children[0].at]

    stack = [root for root in roots if root.children]
    while stack:
        children = stack.pop().children
        if len(children) > 1:
            children.sort(key=key)
        stack.extend([child for child in children if child.children])
    roots.sort(key=key)


def first(node: Node) -> int:
    """The node's message, or its first child's."""
    return node.at if node.at != NOBODY else node.children[0].at


def sort_by_latest(roots: list[Node], dates: Sequence[int]) -> None:
    """The roots by the latest date among all their messages, as REFS wants them."""
    latest = {id(root): max(dates[node.at] for node in _walk(root) if node.at != NOBODY) for root in roots}
    roots.sort(key=lambda root: (latest[id(root)], first(root)))


def _walk(root: Node) -> Iterable[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.children)


def joined_by_subject(roots: Sequence[Node], subjects: Sequence[str], answers: Callable[[Sequence[int]], set[int]]) -> list[Node]:
    """Step 5: the roots, those of one subject together. subjects: base subjects, "" joins nothing.

    answers: which of some messages have the subject of a reply or of a forwarded message; asked once.
    """
    groups: dict[str, list[Node]] = {}
    found: list[Node] = []
    for root in roots:
        subject = subjects[first(root)]
        (groups.setdefault(subject, []) if subject else found).append(root)
    together = [root.at for group in groups.values() if len(group) > 1 for root in group if root.at != NOBODY]
    are_answers = answers(together) if together else set()
    for group in groups.values():
        head = _head(group, are_answers)
        for root in group:
            if root is not head:
                head = _joined(head, root, are_answers)
        found.append(head)
    return found


def _head(group: Sequence[Node], answers: set[int]) -> Node:
    """Step 5.B: the first without a message, else the first that is no answer, else the first."""
    return next((root for root in group if root.at == NOBODY), None) or next(
        (root for root in group if root.at not in answers), group[0]
    )


def _joined(head: Node, root: Node, answers: set[int]) -> Node:
    """Step 5.C: the head of the two."""
    if head.at == NOBODY:
        head.children += root.children if root.at == NOBODY else [root]
        return head
    if root.at in answers and head.at not in answers:
        head.children.append(root)
        return head
    return Node(NOBODY, [head, root])


def by_subject(subjects: Sequence[str], dates: Sequence[int]) -> list[Node]:
    """ORDEREDSUBJECT: the first message of each base subject with all later ones as its children."""
    threads: dict[str, Node] = {}
    for at in sorted(range(len(subjects)), key=lambda at: (dates[at], at)):
        if subjects[at] in threads:
            threads[subjects[at]].children.append(Node(at))
        else:
            threads[subjects[at]] = Node(at)
    return list(threads.values())


def written(roots: Iterable[Node], numbers: Sequence[int]) -> str:
    """The threads as THREAD tells them: `(2)(3 6 (4 23)(44 7 96))`. numbers: what each message is called."""
    parts: list[str] = []
    stack: list[Node | str] = []
    for root in roots:
        stack.append(root)
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                parts.append(item)
                continue
            if not item.children:
                parts.append(f"({numbers[item.at]})")
                continue
            parts.append("(" if item.at == NOBODY else f"({numbers[item.at]} ")
            stack.append(")")
            while len(item.children) == 1:
                item = item.children[0]
                parts.append(f"{numbers[item.at]} " if item.children else f"{numbers[item.at]}")
            stack += reversed(item.children)
    return "".join(parts)
