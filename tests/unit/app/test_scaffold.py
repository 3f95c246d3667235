"""What `plugins new` writes is a plugin that works, and it never overwrites anything."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mailward.app.scaffold import ScaffoldError, render_template
from mailward.pipeline.dropins import names_in
from mailward.pipeline.plugins import PluginHost


def test_a_drop_in_is_one_file_that_loads_and_its_test_lies_where_no_server_looks(tmp_path: Path) -> None:
    written, test = render_template("acme_dlp", tmp_path, drop_in=True)
    assert written == tmp_path / "acme_dlp.py" and test == tmp_path / "tests/test_acme_dlp.py"
    assert "acme_dlp" in names_in(tmp_path) and "test_acme_dlp" not in names_in(tmp_path)
    namespace: dict[str, object] = {"__name__": "acme_dlp"}
    exec(compile(written.read_text(), str(written), "exec"), namespace)
    host = PluginHost(modules={"acme_dlp": _module(written)})
    assert set(host.load("acme_dlp").implementations) == {"inspect_message"}


def _module(path: Path):  # type: ignore[no-untyped-def]
    import importlib.util

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["acme-dlp", "acme_dlp"])
def test_a_package_has_everything_it_needs(tmp_path: Path, name: str) -> None:
    written = render_template(name, tmp_path, drop_in=False)
    assert {str(path.relative_to(tmp_path)) for path in written} == {
        "acme-dlp/pyproject.toml", "acme-dlp/README.md", "acme-dlp/acme_dlp.py", "acme-dlp/tests/test_acme_dlp.py",
    }  # fmt: skip
    project = tomllib.loads((tmp_path / "acme-dlp/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["mailward.plugins"] == {"acme_dlp": "acme_dlp"}
    ast.parse((tmp_path / "acme-dlp/tests/test_acme_dlp.py").read_text())


@pytest.mark.parametrize("name", ["", "Acme", "9lives", "a b", "../x", "a/b", "-x"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScaffoldError, match="cannot be a plugin's name"):
        render_template(name, tmp_path, drop_in=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    render_template("acme_dlp", tmp_path, drop_in=True)
    with pytest.raises(ScaffoldError, match="exists already"):
        render_template("acme_dlp", tmp_path, drop_in=True)


@pytest.mark.parametrize("drop_in", [True, False])
def test_what_is_written_passes_its_own_tests_with_the_conformance_kit(tmp_path: Path, drop_in: bool) -> None:
    written = render_template("acme_dlp", tmp_path, drop_in=drop_in)
    folder = tmp_path if drop_in else written[0].parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "tests"],
        cwd=folder, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert "acme_dlp: Mailward API 1 conformance: 14 of 14 passed, " in done.stdout, done.stdout + done.stderr
    assert "thread and process" in done.stdout and "24 passed" in done.stdout
