"""The plugin of the design page, exactly as printed there: as a module, as a drop-in, as a package."""

from pathlib import Path
from types import ModuleType

import pytest

from mailward.model.errors import PluginError, PolicyError
from mailward.pipeline.plugins import PluginHost
from mailward.testing import Scan
from support.plugin_modules import plugin_module

SOURCE = (Path(__file__).parent / "acme_dlp.py.txt").read_text(encoding="utf-8")

mail = "From: a@example.net\nSubject: order\n\nPlease charge 4111 1111 1111 1111, thank you.\n"


@pytest.fixture
def acme_dlp() -> ModuleType:
    return plugin_module("acme_dlp", SOURCE, head="")


def test_card(scan: Scan, acme_dlp: ModuleType) -> None:
    assert scan(mail, plugins=[acme_dlp]).findings["ACME_DLP_CARDS"].facts.cards == 1  # type: ignore[union-attr]


def test_the_score_has_the_symbols_points(scan: Scan, acme_dlp: ModuleType) -> None:
    result = scan(mail, plugins=[acme_dlp], policy={"limits": {"junk": 3}})
    assert result.verdict == "junk"
    assert result.record.recipients[0].score == 3.0


def test_the_admin_sets_how_many(scan: Scan, acme_dlp: ModuleType) -> None:
    assert scan(mail, plugins=[acme_dlp], settings={"acme_dlp": {"at_least": 2}}).findings == {}
    with pytest.raises(PolicyError, match="at_least"):
        scan(mail, plugins=[acme_dlp], settings={"acme_dlp": {"at_least": "many"}})


def test_a_rule_reads_its_fact(scan: Scan, acme_dlp: ModuleType) -> None:
    rules = [{"name": "cards", "when": "acme_dlp.cards > 0", "then": "quarantine"}]
    assert scan(mail, plugins=[acme_dlp], policy={"rules": rules}).verdict == "quarantine"


def test_the_same_file_is_a_drop_in(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "acme_dlp.py").write_text(SOURCE, encoding="utf-8")
    (folder / "acme_dlp.py").chmod(0o644)
    assert PluginHost(folder).load("acme_dlp").declaration.summary == "Finds payment-card numbers"


def test_the_same_file_is_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scan: Scan) -> None:
    (tmp_path / "acme_dlp_packed.py").write_text(SOURCE, encoding="utf-8")
    info = tmp_path / "acme_dlp-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-dlp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mailward.plugins]\nacme_dlp = acme_dlp_packed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert scan(mail, plugins=["acme_dlp"]).facts("acme_dlp").cards == 1  # type: ignore[attr-defined]


def test_an_argument_it_misspells_is_refused_at_load() -> None:
    wrong = plugin_module("acme_dlp", SOURCE.replace("message: MessageView, settings", "mesage: MessageView, settings"), head="")
    with pytest.raises(PluginError, match=r"Did you mean 'message'\?"):
        PluginHost(modules={"acme_dlp": wrong}).load("acme_dlp")
