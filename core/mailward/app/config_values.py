"""Values out of the nodes of mailward.yaml: numbers, words, paths, networks; each with what is wrong with it, in its place."""

import difflib
import ipaddress
import stat
from pathlib import Path

from mailward.app.config import KEYS
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.duration import parse_duration
from mailward.formats.network import Network
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem


class ValueReader:
    """Takes values out of nodes and collects what is wrong with them; a wrong value yields its default, so reading goes on.

    folder: what relative paths are relative to. default: None where the key must be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []

    def network(self, item: Node) -> Network:
        try:
            return ipaddress.ip_network(str(item.value))
        except ValueError as error:
            self.wrong(item, "", f"'{item.value}' is no network: {error}", 'Write "10.0.0.0/8" or "fd00::/8", in quotes.')
            return ipaddress.ip_network("127.0.0.1/32")

    def items_of(self, node: Node, key: str) -> list[Node]:
        item = node.at(key)
        if item is not None and not isinstance(item.value, list):
            self.wrong(item, key, "a list was expected", f"Write {key}: [first, second].")
        return [] if item is None else item.items

    def address(self, item: Node) -> str:
        try:
            return str(ipaddress.ip_address(str(item.value)))
        except ValueError:
            self.wrong(item, "", f"'{item.value}' is no IP address")
            return ""

    def duration(self, node: Node, key: str, default_s: float) -> float:
        item = node.at(key)
        if item is None:
            return default_s
        try:
            return int(parse_duration(str(item.value)).total_seconds())
        except ValueError as error:
            self.wrong(item, key, str(error))
            return default_s

    def known(self, node: Node, mapping: str, admins_word: str = "") -> None:
        """Only keys that stand in KEYS. admins_word: what stands in the file for NAME."""
        names = KEYS[mapping]
        prefix = f"{mapping.replace('NAME', admins_word)}." if mapping else ""
        if not isinstance(node.value, dict):
            self.wrong(node, "", f"keys were expected: {', '.join(names)}")
        for name in node.mapping:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(names)}."
                self.problems.append(Problem(node.key_marks.get(name, node.where), prefix + name, "no such key", hint))

    def text(self, node: Node, key: str, default: str | None) -> str:
        item = node.at(key)
        if item is None:
            if default is None:
                self.wrong(node, key, f"the key '{key}' is missing")
            return default or ""
        if not isinstance(item.value, str) or not item.value:
            self.wrong(item, key, "text was expected")
            return default or ""
        return item.value

    def word(self, node: Node, key: str, words: tuple[str, ...], default: str | None) -> str:
        text = self.text(node, key, default)
        if text and text not in words:
            near = difflib.get_close_matches(text, words, 1)
            self.wrong(
                node.at(key) or node, key, f"one of {', '.join(words)} was expected", f"Did you mean '{near[0]}'?" if near else ""
            )
        return text

    def number(self, node: Node, key: str, default: int | None, least: int, most: int) -> int:
        item = node.at(key)
        if item is None:
            if default is None:
                self.wrong(node, key, f"the key '{key}' is missing")
            return least if default is None else default
        if isinstance(item.value, bool) or not isinstance(item.value, int) or not least <= item.value <= most:
            self.wrong(item, key, f"a whole number from {least} to {most} was expected")
            return least
        return item.value

    def domain(self, text: str, node: Node) -> str:
        try:
            return normalise_domain(text) if text else ""
        except AddressSyntaxError as error:
            self.wrong(node, "", f"'{text}' is no domain name: {error}")
            return ""

    def path(self, text: str) -> Path:
        return (self.folder / text).absolute()

    def file(self, node: Node, key: str) -> Path:
        path = self.path(self.text(node, key, None))
        if node.at(key) is not None and not _is_file(path):
            self.wrong(node.at(key) or node, f"tls.{key}", f"there is no file {path}")
        return path

    def wrong(self, node: Node, key: str, text: str, hint: str = "") -> None:
        self.problems.append(Problem(node.where, key, text, hint))


def _is_file(path: Path) -> bool:
    """Raises PermissionError when that cannot be seen."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
