"""What the pages tell a reader to type is typed here: the commands of the tutorial, in its order, against a real server."""

import os
import re
import signal
import subprocess
from pathlib import Path

from support.server import COMMAND, server

DOCS = Path(__file__).parents[2] / "docs"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_first_filter_tutorial_works_as_printed(tmp_path: Path) -> None:
    with server() as target:
        (tmp_path / "run").symlink_to(target.folder)
        environment = {**os.environ, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"}

        def type_in(line: str) -> str:
            done = subprocess.run(
                ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode in (0, 1), f"{line}\n{done.stdout}\n{done.stderr}"
            return done.stdout

        new, check, make_and_scan = (
            re.findall(r"^\$ (.*)$", block, re.MULTILINE) for block in _blocks("tutorials/first-filter.md", "console")
        )
        assert "acme_dlp.py" in type_in(new[0])
        (target.folder / "plugins/acme_dlp.py").write_text(_blocks("tutorials/first-filter.md", "python")[0])
        policy = target.folder / "policies/inbound.yaml"
        (entry,) = _blocks("tutorials/first-filter.md", "yaml")
        policy.write_text(policy.read_text().replace("plugins:\n", "plugins:\n" + entry))
        assert "sound" in type_in(check[0])
        for line in make_and_scan:
            shown = type_in(line)
        assert re.search(r"ACME_DLP_CARDS +\+3\.0", shown)
        assert target.process is not None
        target.process.send_signal(signal.SIGHUP)
        target.reload()
        assert "250" in target.run("try", "send").stdout


def test_every_setting_of_the_configuration_is_described() -> None:
    from mailward.app.config import KEYS

    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", (DOCS / "reference/config.md").read_text(), re.MULTILINE)
    meanings = {key: meaning for keys, meaning in rows for key in re.findall(r"`([^`]+)`", keys)}
    expected = {f"{mapping}.{key}".lstrip(".") for mapping, keys in KEYS.items() for key in keys if "NAME" not in mapping}
    expected -= {"tls", "dns", "listeners", "routes", "outbound", "limits"}  # mappings: what stands in them is described
    assert set(meanings) == expected | {"listeners.NAME", "routes.DOMAIN"}
    for key in KEYS["listeners.NAME"]:
        assert f"`{key}`" in meanings["listeners.NAME"]


def test_links_between_pages_lead_somewhere() -> None:
    root = DOCS.parent
    for page in (*root.glob("*.md"), *DOCS.rglob("*.md"), *(root / "contrib").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    from mailward.cli import app
    from mailward.cli.reference import page

    assert (DOCS / "reference/cli.md").read_text() == page(app), "run: python -m mailward.cli.reference >docs/reference/cli.md"
