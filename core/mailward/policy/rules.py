"""Rules of a policy file become compiled rules: condition, stage, reply and actions, each checked against what there is."""

import re
import unicodedata
from collections.abc import Collection, Iterable

from mailward.formats.nearest import nearest
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem
from mailward.model.verdict import Verdict
from mailward.policy.directions import RULES
from mailward.policy.facts import Vocabulary
from mailward.policy.lists import Lists
from mailward.policy.match import Condition, compile_condition, unknown_fact
from mailward.policy.schema import ActionKeys, HeaderKeys, RuleKeys, validate
from mailward.policy.scoping import Scoping
from mailward.policy.settings import canary_of
from mailward.policy.stages import STAGES, Stage, latest
from mailward.policy.texts import ReplyText, Template, TextError, reply_text, template
from mailward.policy.values import (
    Action,
    AddHeaderAction,
    FlagAction,
    FolderAction,
    RemoveHeaderAction,
    Rule,
    ScoreAction,
    SubjectPrefixAction,
)

_ALWAYS = "true"
_NOT_YET = ("redirect", "bcc")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
"""RFC 5322 section 2.2: printable ASCII without the colon."""
_TRACE = frozenset({"received", "return-path", "authentication-results"})
_KEYWORD = re.compile(r"[$A-Za-z0-9!#&'+,./:;<=>?@^_`|~-]{1,64}")
"""An atom of RFC 9051 section 9, so that every client can write the keyword."""
_SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft")
_MAX_FOLDER = 200


class Compiler:
    """Turns rule nodes into rules. Problems and warnings are added to the lists it was made with."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        lists: Lists,
        scoping: Scoping,
        plugins: Collection[str],
        problems: list[Problem],
        warnings: list[Problem],
    ) -> None:
        self._vocabulary = vocabulary
        self._direction = RULES[vocabulary.direction]
        self._lists = lists
        self._scoping = scoping
        self._plugins = plugins
        self._problems = problems
        self._warnings = warnings

    def rules(
        self, nodes: Iterable[Node], path: str, below: Collection[str], *, for_recipients: bool
    ) -> tuple[list[Rule], set[str]]:
        """The rules of one list, and the names of those it turns off.

        below: names of the rules that stand under this list, which it may turn off. for_recipients: of an override for some.
        """
        rules: list[Rule] = []
        removed: set[str] = set()
        seen: dict[str, str] = {}
        for index, node in enumerate(nodes):
            place = f"{path}[{index}]"
            keys = validate(RuleKeys, node, place, self._problems, drop=("do",))
            if keys is None:
                continue
            if keys.name in seen:
                self._problem(node, ("name",), place, f"a rule called '{keys.name}' stands already at {seen[keys.name]}")
                continue
            seen[keys.name] = node.where
            rule = self._rule(keys, node, place, below, for_recipients=for_recipients)
            if keys.mode == "off":
                removed.add(keys.name)
            elif rule is not None:
                rules.append(rule)
        return rules, removed

    def _rule(self, keys: RuleKeys, node: Node, path: str, below: Collection[str], *, for_recipients: bool) -> Rule | None:
        if keys.mode == "off" and not {"when", "then", "do"} & node.mapping.keys():
            if keys.name not in below:
                text = f"there is no rule '{keys.name}' below to turn off"
                self._problem(node, ("name",), path, text, nearest(keys.name, below))
            return None
        if not {"then", "do"} & node.mapping.keys():
            self._problem(node, (), path, "the rule does nothing", "Give it `then:` or `do:`.")
        then = None if keys.then is None else Verdict(keys.then)
        if then is not None and then not in self._direction.verdicts:
            self._problem(node, ("then",), path, f"there is no verdict {then.value} in {self._vocabulary.direction}")
        when = self._condition(keys, node, path)
        actions = self._actions(node, path)
        reply = self._reply(keys, then, node, path)
        self._check_override(keys, then, node, path)
        canary = canary_of("rule", keys.name, keys, self._scoping, node, path, self._problems)
        if keys.mode == "canary" and not self._judges_messages:
            self._problem(node, ("mode",), path, f"there is no canary in {self._vocabulary.direction}: a login has no sender")
        names = set() if when is None else set(when.names)
        if any(isinstance(action, ScoreAction) for action in actions):
            self._check_scoring(names, then, node, path)
        if when is None:
            return None
        needed = when.stage if reply is None else latest(when.stage, self._stage_of(reply.template))
        stage = self._stage(keys, needed, then, node, path, for_recipients=for_recipients)
        return Rule(
            name=keys.name,
            where=node.where,
            when=when,
            then=then,
            actions=tuple(actions),
            reply=reply,
            stage=stage,
            pinned=keys.at is not None,
            shadow=keys.mode in ("shadow", "canary"),
            override=frozenset(keys.override),
            canary=canary,
        )

    def _condition(self, keys: RuleKeys, node: Node, path: str) -> Condition | None:
        condition, problems = compile_condition(keys.when or _ALWAYS, self._vocabulary, self._lists.names, self._lists.listed)
        written = node.at("when")
        for problem in problems:
            hint = "Everything behind ' #' is a comment. Put the whole condition into single quotes: when: '...'"
            text = hint if written is not None and written.cut else problem.hint
            self._problem(node, ("when",), path, problem.text, text)
        if condition is None and not problems:
            text = f"the rule '{keys.name}' is left out: it needs a plugin that is off or not there"
            self._warnings.append(Problem(node.where, path, text))
        return condition

    def _stage(
        self, keys: RuleKeys, needed: Stage, then: Verdict | None, node: Node, path: str, *, for_recipients: bool
    ) -> Stage:
        """Where `at:` says, else the first at which its facts are complete, never before rcpt where there is one."""
        stages = self._direction.stages
        earliest = latest(stages[min(1, len(stages) - 1)], needed)
        if keys.at is None:
            return earliest
        pinned = next((stage for stage in stages if stage == keys.at), None)
        if pinned is None:
            self._problem(node, ("at",), path, f"the stage '{keys.at}' is not available yet", f"Stages: {', '.join(stages)}.")
            return earliest
        if latest(pinned, needed) != pinned:
            self._problem(node, ("at",), path, f"at {pinned} not all of its facts are known", f"They are at {needed}.")
        elif pinned == "mail" and keys.scope is not None and keys.scope.recipient is not None:
            text = "a canary for recipients counts for them, and at mail there are none"
            self._problem(node, ("at",), path, text, "Use at: rcpt.")
        elif pinned == "mail" and for_recipients:
            self._problem(node, ("at",), path, "this override is for recipients, and at mail there are none", "Use at: rcpt.")
        elif pinned != self._direction.last and then not in (None, Verdict.REJECT, Verdict.TEMPFAIL):
            self._problem(node, ("then",), path, f"at {pinned} a rule can only reject or tempfail")
        return pinned

    def _stage_of(self, text: Template) -> Stage:
        return latest(STAGES[0], *(self._vocabulary.facts[name].stage for name in text.names if name in self._vocabulary.facts))

    def _reply(self, keys: RuleKeys, then: Verdict | None, node: Node, path: str) -> ReplyText | None:
        if keys.reply is None:
            return None
        if not self._judges_messages:
            text = "a login is answered alike whatever the reason, so that nobody learns which names exist"
            self._problem(node, ("reply",), path, text, "Leave it out.")
            return None
        if then is None:
            if "then" not in node.mapping:
                self._problem(node, ("reply",), path, "a reply needs a verdict", "Add then: reject or then: tempfail.")
            return None
        try:
            parsed = reply_text(keys.reply, then)
        except TextError as error:
            self._problem(node, ("reply",), path, str(error))
            return None
        self._check_names(parsed.template, node, ("reply",), path)
        return parsed

    def _check_names(self, text: Template, node: Node, place: tuple[str | int, ...], path: str) -> None:
        for name in text.names:
            for problem in unknown_fact(name, self._vocabulary):
                self._problem(node, place, path, problem.text, problem.hint)

    def _check_override(self, keys: RuleKeys, then: Verdict | None, node: Node, path: str) -> None:
        for index, name in enumerate(keys.override):
            if name not in self._plugins:
                text = f"no plugin is called '{name}' under plugins:"
                self._problem(node, ("override", index), path, text, nearest(name, self._plugins))
        if keys.override and then is None and "then" not in node.mapping:
            self._problem(node, ("override",), path, "only a rule with `then:` can override a plugin")

    def _check_scoring(self, names: Collection[str], then: Verdict | None, node: Node, path: str) -> None:
        if "score" in names:
            self._problem(node, ("when",), path, "a rule that adds to the score cannot read the score")
        if then is not None:
            self._problem(node, ("do",), path, "a rule with `then:` cannot also add to the score", "Write two rules.")

    def _actions(self, node: Node, path: str) -> list[Action]:
        written = node.at("do")
        if written is not None and not isinstance(written.value, list):
            self._problem(node, ("do",), path, "a list of actions was expected", "Write do: [{...}].")
        actions: list[Action] = []
        for index, item in enumerate(() if written is None else written.items):
            keys = validate(ActionKeys, item, f"{path}.do[{index}]", self._problems)
            if isinstance(item.value, dict) and len(item.value) != 1:
                text = f"one action was expected, {len(item.value)} were found"
                self._problem(node, ("do", index), path, text, "Give each action its own item.")
            elif keys is not None and item.mapping:
                action = self._action(keys, node, path, index, item)
                actions += [] if action is None else [action]
        return actions

    @property
    def _judges_messages(self) -> bool:
        return self._direction.last == "message"

    def _action(self, keys: ActionKeys, node: Node, path: str, index: int, item: Node) -> Action | None:
        name = next(iter(item.mapping))
        place: tuple[str | int, ...] = ("do", index, name)
        if not self._judges_messages and keys.score is None:
            text = f"'{name}' changes a message, and in {self._vocabulary.direction} there is none"
            self._problem(node, place, path, text, "Only `score` can be used here.")
            return None
        if name in _NOT_YET:
            self._problem(node, place, path, f"'{name}' is not available yet")
            return None
        if keys.add_header is not None:
            return self._add_header(keys.add_header, node, place, path)
        if keys.remove_header is not None:
            field = self._field_name(keys.remove_header, node, place, path)
            return None if field is None else RemoveHeaderAction(field)
        if keys.subject_prefix is not None:
            prefix = self._template(keys.subject_prefix, node, place, path)
            return None if prefix is None else SubjectPrefixAction(prefix)
        if keys.folder is not None:
            return self._folder(keys.folder, node, place, path)
        if keys.flag is not None:
            return self._flag(keys.flag, node, place, path)
        if keys.score is not None:
            return ScoreAction(keys.score)
        if item.mapping[name].value is None:
            self._problem(node, place, path, f"'{name}' needs a value")
        return None

    def _add_header(self, keys: HeaderKeys, node: Node, place: tuple[str | int, ...], path: str) -> Action | None:
        name = self._field_name(keys.name, node, (*place, "name"), path)
        value = self._template(keys.value, node, (*place, "value"), path)
        return None if name is None or value is None else AddHeaderAction(name, value)

    def _field_name(self, name: str, node: Node, place: tuple[str | int, ...], path: str) -> str | None:
        if not _FIELD_NAME.fullmatch(name):
            self._problem(node, place, path, "a header field's name is printable ASCII without spaces and colons")
        elif name.lower() in _TRACE:
            self._problem(node, place, path, f"{name} is written and removed by the server alone")
        else:
            return name
        return None

    def _template(self, text: str, node: Node, place: tuple[str | int, ...], path: str) -> Template | None:
        try:
            parsed = template(text)
        except TextError as error:
            self._problem(node, place, path, str(error))
            return None
        self._check_names(parsed, node, place, path)
        return parsed

    def _folder(self, folder: str, node: Node, place: tuple[str | int, ...], path: str) -> Action | None:
        levels = folder.split("/")
        if len(folder) > _MAX_FOLDER or not folder.isprintable() or not all(levels) or {".", ".."} & set(levels):
            self._problem(
                node,
                place,
                path,
                f"a mailbox name of 1 to {_MAX_FOLDER} printable characters, levels parted by '/', was expected",
            )
            return None
        return FolderAction(unicodedata.normalize("NFC", folder))

    def _flag(self, flag: str, node: Node, place: tuple[str | int, ...], path: str) -> Action | None:
        if flag in _SYSTEM_FLAGS or _KEYWORD.fullmatch(flag):
            return FlagAction(flag)
        self._problem(
            node,
            place,
            path,
            "an IMAP flag such as \\Flagged or a keyword such as $Work was expected",
            nearest(flag, _SYSTEM_FLAGS),
        )
        return None

    def _problem(self, node: Node, place: tuple[str | int, ...], path: str, text: str, hint: str = "") -> None:
        for step in place:
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
        self._problems.append(Problem(_value_place(node, place), path, text, hint))


def _value_place(node: Node, place: tuple[str | int, ...]) -> str:
    """Where the value itself begins, so that a condition's problem points at the condition; else as near as there is."""
    found = node.at(*place)
    return node.where_of(place) if found is None else found.where
