"""A plugin to start from, with one hook and its test: a pip package, or one drop-in file.

The texts are here and not in a folder of templates, so that an installed wheel has them and type checkers see this file.
"""

import re
from pathlib import Path
from string import Template

from mailward.api.plugin import PLUGIN_NAME


class ScaffoldError(Exception):
    """Nothing was written; the text says why."""


MODULE = Template('''\
"""Says which messages have long subjects. Replace this by what your filter looks for."""

from dataclasses import dataclass

from mailward.api import Facts, Finding, MessageView, Plugin, Settings, Symbol, hookimpl


@dataclass(frozen=True)
class ${prefix}Settings(Settings):
    """What an admin may write: plugins: {$name: {longer_than: 200}}"""

    longer_than: int = 100


@dataclass(frozen=True)
class ${prefix}Facts(Facts):
    """What a rule may ask: when: $name.length > 300"""

    length: int = 0


plugin = Plugin(
    api=1,
    summary="Notices long subjects",
    settings=${prefix}Settings,
    facts=${prefix}Facts,
    symbols={"$symbol": Symbol(1.0, "The subject is long")},
    capabilities=("body",),
)


@hookimpl
def inspect_message(message: MessageView, settings: ${prefix}Settings) -> Finding | None:
    length = len(message.subject)
    if length <= settings.longer_than:
        return None
    return Finding("$symbol", f"the subject has {length} characters", facts=${prefix}Facts(length=length))
''')

TEST = Template('''\
"""Tests of $name, without a server: `scan` is a fixture that Mailward brings."""

${path}import $name
from mailward.testing import Scan
from mailward.testing.conformance import Conformance


class TestConformance(Conformance):
    """What the server relies on. The last line of pytest says how much of it is kept; it is made for the README."""

    plugin = $name


def test_a_long_subject_is_noticed(scan: Scan) -> None:
    result = scan("Subject: " + "x" * 120 + "\\n\\ntext\\n", plugins=[$name])
    assert result.findings["$symbol"].text == "the subject has 120 characters"


def test_a_short_subject_is_not(scan: Scan) -> None:
    assert scan("Subject: short\\n\\ntext\\n", plugins=[$name]).findings == {}


def test_the_admin_sets_the_length(scan: Scan) -> None:
    result = scan("Subject: short\\n\\ntext\\n", plugins=[$name], settings={"$name": {"longer_than": 3}})
    assert "$symbol" in result.findings
''')

BESIDE = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

"""

PYPROJECT = Template("""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "A filter for Mailward"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["mailward"]

[project.optional-dependencies]
test = ["mailward[testing]"]

[project.entry-points."mailward.plugins"]
$name = "$name"

[tool.hatch.build.targets.wheel]
only-include = ["$name.py"]

[tool.pytest.ini_options]
pythonpath = ["."]
""")

README = Template("""\
# $distribution

A filter for Mailward.

    pip install '.[test]'    # in an environment of its own, to work on it
    pytest                   # needs no server; its last line is for this page
    pip install .            # beside the server

Installed is not enabled: name it in a policy.

    plugins:
      $name: {longer_than: 200}

`mailward scan message.eml --plugin $name` shows what it finds.
""")


def render_template(name: str, target: Path, *, drop_in: bool) -> list[Path]:
    """Write a new plugin below `target` and return the files made.

    name: "acme_dlp" or, for a package, "acme-dlp" as well. A package gets a folder of that name; a drop-in is one file, and its
    test is in a folder beside it, where no server looks.
    Raises ScaffoldError for a name that cannot be one, and rather than overwrite anything.
    """
    module = name.replace("-", "_")
    if not PLUGIN_NAME.fullmatch(module):
        raise ScaffoldError(f"'{name}' cannot be a plugin's name: small letters, digits and underscores, a letter first")
    words = {
        "name": module,
        "distribution": module.replace("_", "-"),
        "prefix": "".join(word.capitalize() for word in re.split("_+", module) if word),
        "symbol": f"{module.upper()}_LONG_SUBJECT",
        "path": "",
    }
    if drop_in:
        words["path"] = BESIDE
        texts = {target / f"{module}.py": MODULE, target / "tests" / f"test_{module}.py": TEST}
    else:
        folder = target / words["distribution"]
        texts = {
            folder / "pyproject.toml": PYPROJECT,
            folder / "README.md": README,
            folder / f"{module}.py": MODULE,
            folder / "tests" / f"test_{module}.py": TEST,
        }
    existing = [path for path in texts if path.exists()]
    if existing:
        raise ScaffoldError(f"{existing[0]} exists already; nothing was written")
    try:
        for path, template in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(template.substitute(words), encoding="utf-8")
            path.chmod(0o644)
    except OSError as error:
        raise ScaffoldError(f"cannot write {error.filename}: {error.strerror}") from error
    return list(texts)
