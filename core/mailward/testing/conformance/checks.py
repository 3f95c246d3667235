"""The checks of the conformance kit: what the server relies on, asked of one plugin. Each is one test of a class to subclass."""

import asyncio
import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args
from weakref import WeakKeyDictionary

import pytest

from mailward.model.errors import PluginError, PolicyError
from mailward.pipeline.plugins import LoadedPlugin
from mailward.testing.conformance import unchanged
from mailward.testing.conformance.alone import FailedAlone, answers_alone, forms
from mailward.testing.conformance.cases import Case, cases
from mailward.testing.conformance.corpus import Kind
from mailward.testing.conformance.interruptions import Counting, Failing, HangingAt
from mailward.testing.conformance.running import Answer, Rig, Subject, in_loop
from mailward.testing.conformance.wrongly import other_settings, tempting_values, wrong_values
from mailward.testing.policies import Named
from mailward.testing.world import FakeServices

Mode = Literal["thread", "process"]
"""Where a plugin runs: in the process of the server, or in one of its own (`isolation: process`)."""

MODE = "mailward_conformance_mode"
CHECK = "mailward_conformance_check"
"""What a test's report carries for the line at the end: (plugin, check)."""

_KEPT: WeakKeyDictionary[type, dict[Any, Any]] = WeakKeyDictionary()
"""What several checks of one class look at is found out once."""
_MOST_INTERRUPTIONS: Mapping[Mode, int] = {"thread": 12, "process": 2}
_SHORT_S = 0.2
_MOST_TOLD = 10
_PATIENT_S = 8.0


class Conformance:
    """Subclass it and name the plugin; that is all. Fails with what is wrong, where, and how to mend it.

    plugin: its module, or the name of its entry point. settings: keys as in the policy, where the defaults cannot work without a
    world around them. beside: plugins that it `needs`, unless given those of its hooks'. messages: more of them, by name,
    for what only this filter looks at. modes: where it is to run.
    """

    plugin: ClassVar[Named]
    settings: ClassVar[Mapping[str, object]] = {}
    beside: ClassVar[Sequence[Named] | None] = None
    messages: ClassVar[Mapping[str, bytes]] = {}
    modes: ClassVar[Sequence[Mode]] = get_args(Mode)

    def services(self) -> FakeServices:
        """What is around the plugin, fresh for each look at it. Override it to put in DNS records, pages or files."""
        return FakeServices()

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """The checks that ask for a mode are made in each of them."""
        if "mode" in metafunc.fixturenames:
            metafunc.parametrize("mode", cls.modes)

    @pytest.fixture(autouse=True)
    def _told(self, request: pytest.FixtureRequest) -> None:
        name = Subject(self.plugin).name
        request.node.user_properties.append((CHECK, f"{name} {request.node.originalname}"))
        if "mode" in request.fixturenames:
            request.node.user_properties.append((MODE, request.getfixturevalue("mode")))

    def test_its_declaration_is_sound(self) -> None:
        """It loads, says in a line what it does, and each symbol what it means."""
        plugin = self._loaded().declaration
        problems = []
        if not plugin.summary.strip() or "\n" in plugin.summary:
            problems.append("summary= must be one line that says what it does")
        for name, symbol in plugin.symbols.items():
            if not symbol.description.strip():
                problems.append(f"symbol {name} needs a description")
            if not math.isfinite(symbol.points):
                problems.append(f"symbol {name} has {symbol.points} points, which no score can hold")
        _fail_for(problems)

    def test_it_answers_to_ordinary_mail(self, mode: Mode) -> None:
        """Every hook, called with what comes every day, returns what its specification says."""
        self._expect_answers("ordinary", mode)

    def test_it_answers_to_huge_mail(self, mode: Mode) -> None:
        """The same for messages of many megabytes, parts, fields and recipients, within the time of one call."""
        self._expect_answers("huge", mode)

    def test_it_answers_to_hostile_mail(self, mode: Mode) -> None:
        """The same for what is made to break parsers, terminals and slow patterns."""
        self._expect_answers("hostile", mode)

    def test_its_symbols_are_declared(self) -> None:
        """A policy can weigh no symbol that it does not know."""
        _fail_for(
            f"{answer} returned {symbol!r}; add it to symbols= of its Plugin"
            for answer in self._all_answers()
            for symbol in answer.undeclared
        )

    def test_it_changes_nothing_that_it_is_given(self) -> None:
        """Other plugins are given the same values (T-PLUG-04)."""
        _fail_for(f"{answer} changed its {', '.join(answer.changed)}" for answer in self._all_answers() if answer.changed)

    def test_it_leaves_the_process_as_it_was(self) -> None:
        """Environment, folder, signals, limits and the like are everybody's; nothing is opened or started at each call."""
        rig, wanted = self._rig(), self._cases("ordinary")
        before = unchanged.state()
        in_loop(lambda: rig.answers(wanted))
        _fail_for(unchanged.differences(before, unchanged.state()))
        _fail_for(in_loop(lambda: unchanged.growth(lambda: rig.answers(wanted), calls=len(wanted))))

    def test_its_async_hooks_do_not_block_the_loop(self) -> None:
        """Whatever waits or computes there holds up every connection; `services.run_blocking` is for that."""
        _fail_for(f"{answer}: {what}" for answer in self._all_answers() for what in answer.blocking)

    def test_it_is_the_same_each_time(self) -> None:
        """The same mail has the same answer, here, again, and in another process with another order of sets."""
        first, again = in_loop(lambda: forms(self._rig(), self.messages)), in_loop(lambda: forms(self._rig(), self.messages))
        _fail_for(_different(first, again, "when it is asked again, with nothing kept from before,"))
        _fail_for(_different(first, self._alone()[0], "in another process"))

    def test_it_serves_several_at_once(self, mode: Mode) -> None:
        """While one call waits, others are made; what one is about does not get into another."""
        most = 4 if mode == "thread" else 2
        wanted = [case for hook in self._hooks() for case in itertools.islice(cases(hook, "ordinary", self.messages), most)]
        rigs = [self._rig(mode=mode) for _ in wanted]

        async def together() -> list[Answer]:
            with contextlib.ExitStack() as ended:
                for rig in rigs:
                    ended.callback(rig.close)
                start = asyncio.Barrier(len(wanted))
                return list(await asyncio.gather(*(rig.answer(case, start) for rig, case in zip(rigs, wanted, strict=True))))

        async def alone() -> list[Answer]:
            return [answer for case in wanted for answer in await self._rig(mode=mode).answers([case])]

        one_by_one = {str(answer): answer.error or answer.form for answer in in_loop(alone)}
        at_once = {str(answer): answer.error or answer.form for answer in in_loop(together)}
        _fail_for(_different(one_by_one, at_once, "when others are made at the same time,"))

    def test_it_stands_services_that_fail(self, mode: Mode) -> None:
        """DNS, storage and the web fail some day. A call may fail with them, but it ends, and the next one works."""
        problems = []
        for case in self._first_cases():
            services = self.services()
            failing = Failing(services)
            rig = self._rig(services, mode=mode, limit_s=_PATIENT_S)

            async def twice(rig: Rig = rig, case: Case = case, failing: Failing = failing) -> tuple[Answer, Answer]:
                with contextlib.closing(rig):
                    first = await rig.answer(case)
                    failing.mend()
                    return first, await rig.answer(case)

            answer, again = in_loop(twice)
            if answer.error and (answer.is_late or answer.error.startswith(("SystemExit", "KeyboardInt"))):
                problems.append(f"{answer} with services that fail: {answer.error}")
            if again.error:
                problems.append(f"{again} after the services work again: {again.error}")
        _fail_for(problems)

    def test_it_can_be_cancelled(self, mode: Mode) -> None:
        """An async hook is cancelled at its limit, wherever it waits: then it ends at once, and the next call works."""
        problems: list[str] = []
        for case in self._first_cases():
            if self._loaded().implementations[case.hook].way != "loop":
                continue
            services = self.services()
            counting = Counting(services)
            rig = self._rig(services, mode=mode)
            in_loop(lambda rig=rig, case=case: rig.answers([case]))  # type: ignore[misc]
            for at in range(min(counting.calls, _MOST_INTERRUPTIONS[mode])):
                problems += in_loop(lambda case=case, at=at: self._interrupted(case, at, mode))  # type: ignore[misc]
        _fail_for(problems)

    def test_two_sets_of_settings_live_side_by_side(self, mode: Mode) -> None:
        """At a reload the old plugin goes on for the mail under way, while the new one, with other settings, has begun."""
        other = self._other_settings()
        old, new = self._rig(mode=mode), self._rig(mode=mode, settings=other)

        async def in_turns() -> list[dict[str, str]]:
            return [await forms(rig, self.messages) for rig in (old, new, self._rig(mode=mode))]

        before, beside, after = in_loop(in_turns)
        _fail_for(_different(before, after, "after another with other settings was made,"))
        _fail_for(_different(self._alone()[1], beside, f"with the settings {other!r}, beside one that has others,"))

    def test_wrong_settings_are_refused_in_clear_words(self) -> None:
        """What an admin mistypes is a problem of the policy that names the key; what is accepted works."""
        declaration, name, problems = self._loaded().declaration, Subject(self.plugin).name, []
        for key, value in wrong_values(declaration):
            if self._is_accepted({**self.settings, key: value}):
                problems.append(f"{name}: {{{key}: {value!r}}} is accepted")
        for key, value in tempting_values(declaration):
            settings, shown = {**self.settings, key: value}, f"{key}: {value!r:.60}"
            try:
                rig = self._rig(settings=settings)
            except PolicyError as error:
                unclear = [one.text for one in error.problems if key not in one.text and key not in one.path]
                problems += [f"{shown} is refused in the words {text!r}, which do not name the key" for text in unclear]
                continue
            except Exception as error:  # noqa: BLE001  whatever it is, an admin would see it
                problems.append(f"{shown} ends in {type(error).__name__}: {error}; raise ValueError in __post_init__")
                continue
            failed = [a for a in in_loop(lambda rig=rig: rig.answers(self._first_cases())) if a.error]  # type: ignore[misc]
            problems += [
                f"{shown} is accepted, and then {a} fails: {a.error}; refuse it in __post_init__ by a ValueError" for a in failed
            ]
        _fail_for(problems)

    # What the checks are made of

    def _subject(self, mode: Mode = "thread") -> Subject:
        beside = self.beside
        if beside is None:
            hooks = Subject(self.plugin).loaded().implementations.values()
            beside = tuple(dict.fromkeys(need for hook in hooks for need in hook.options.needs))
        return Subject(self.plugin, tuple(beside), isolated=mode == "process")

    def _loaded(self) -> LoadedPlugin:
        try:
            return Subject(self.plugin).loaded()
        except PluginError as error:
            pytest.fail(str(error), pytrace=False)

    def _rig(
        self,
        services: FakeServices | None = None,
        *,
        mode: Mode = "thread",
        settings: Mapping[str, object] | None = None,
        limit_s: float | None = None,
    ) -> Rig:
        self._loaded()
        more = {} if limit_s is None else {"limit_s": limit_s}
        return Rig(self._subject(mode), self.settings if settings is None else settings, services or self.services(), **more)

    def _hooks(self) -> tuple[str, ...]:
        return tuple(self._loaded().implementations)

    def _cases(self, kind: Kind) -> list[Case]:
        return [case for hook in self._hooks() for case in cases(hook, kind, self.messages if kind == "ordinary" else {})]

    def _first_cases(self) -> list[Case]:
        return [next(cases(hook, "ordinary")) for hook in self._hooks()]

    def _other_settings(self) -> dict[str, object]:
        return other_settings(self._loaded().declaration, self.settings, self._is_accepted)

    def _alone(self) -> list[dict[str, str]]:
        """The answers with these settings and with the others, in interpreters in which nothing else was asked."""
        kept: dict[str, list[dict[str, str]]] = _KEPT.setdefault(self.__class__, {})
        if "alone" not in kept:
            both = [self.settings, self._other_settings()]
            try:
                kept["alone"] = answers_alone(self._subject(), both, self.services(), self.messages)
            except FailedAlone as error:
                pytest.fail(str(error), pytrace=False)
        return kept["alone"]

    def _is_accepted(self, settings: Mapping[str, object]) -> bool:
        try:
            self._rig(settings=settings)
        except PolicyError:
            return False
        return True

    def _answers(self, kind: Kind, mode: Mode = "thread") -> Sequence[Answer]:
        """Asked once a class: the same calls are looked at in several ways."""
        kept: dict[tuple[str, str], list[Answer]] = _KEPT.setdefault(self.__class__, {})
        if (kind, mode) not in kept:
            rig, wanted = self._rig(mode=mode), self._cases(kind)
            kept[kind, mode] = in_loop(lambda: rig.answers(wanted))
        return kept[kind, mode]

    def _all_answers(self) -> Iterator[Answer]:
        for kind in get_args(Kind):
            yield from self._answers(kind)

    def _expect_answers(self, kind: Kind, mode: Mode) -> None:
        """Symbols that are not declared have a check of their own."""
        _fail_for(f"{a}: {a.error}" for a in self._answers(kind, mode) if a.error and not a.undeclared)

    async def _interrupted(self, case: Case, at: int, mode: Mode) -> list[str]:
        services = self.services()
        hanging = HangingAt(services, at)
        rig = self._rig(services, mode=mode, limit_s=_SHORT_S)
        with contextlib.closing(rig):
            await rig.answer(case)
            if not await rig.is_at_rest(case.hook):
                return [
                    f"{case.hook} goes on after it was cancelled while it waited for {hanging.where}; let CancelledError pass"
                ]
            hanging.mend()
            await rig.answer(case)  # behind the late answer
            if not await rig.is_at_rest(case.hook):
                return [
                    f"{case.hook} does not live on when {hanging.where}, for which it waited when it was cancelled, answers late"
                ]
        (answer,) = await self._rig(services, mode=mode).answers([case])
        return (
            [f"{answer} after one that was cancelled while it waited for {hanging.where}: {answer.error}"] if answer.error else []
        )


def _different(expected: Mapping[str, str], found: Mapping[str, str], when: str) -> list[str]:
    return [
        f"{call} has another answer {when} than by itself: {found.get(call, 'none')[:300]}\n    instead of {form[:300]}"
        for call, form in expected.items()
        if found.get(call) != form
    ]


def _fail_for(problems: Iterable[str]) -> None:
    """Fail with the first of them, if there are any; the others are not looked for."""
    first = list(dict.fromkeys(itertools.islice(problems, _MOST_TOLD)))
    if first:
        pytest.fail("\n".join(first) + ("\n..." if len(first) == _MOST_TOLD else ""), pytrace=False)
