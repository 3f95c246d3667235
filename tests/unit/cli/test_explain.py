"""`mailward explain`: what it says where there is nothing to explain."""

from contextlib import closing
from pathlib import Path

import pytest
import typer

from mailward.app.config_file import load_config
from mailward.cli.explain import record_of
from mailward.decisions import DecisionStore
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId
from mailward.net import queued
from mailward.net.local import PeerAway
from support.installation import installation


@pytest.mark.parametrize(
    "which, code, said",
    [
        ("<nobody@sent.invalid>", 66, "nothing is known of <nobody@sent.invalid>"),
        ("bob@example.test", 64, "--from bob@example.test and --to bob@example.test find messages by address"),
        ("last", 66, "no message has been judged yet"),
    ],
)
def test_what_nothing_is_known_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, code: int, said: str) -> None:
    config = load_config(installation(tmp_path))
    with closing(DecisionStore(tmp_path / "decisions.sqlite")) as store, pytest.raises(typer.Exit) as ended:
        record_of(store, which, config)
    assert ended.value.exit_code == code and said in capsys.readouterr().err


@pytest.mark.parametrize("is_running", [True, False])
def test_what_was_answered_just_now_is_waited_for_where_a_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_running: bool
) -> None:
    config = load_config(installation(tmp_path))
    asked: list[str] = []
    with closing(DecisionStore(tmp_path / "decisions.sqlite")) as store:

        def note(_: Path, id: str) -> bool:
            """Nothing of it is in the queue; the process that took it writes the record by the third time that is asked."""
            asked.append(id)
            if not is_running:
                raise PeerAway("no server")
            if len(asked) == 3:
                at = "2026-11-02T10:00:00.000Z"
                store.add(DecisionRecord(id=QueueId(id), received_at=at, direction="inbound", reverse_path="", size_octets=1))
            return False

        monkeypatch.setattr(queued, "note", note)
        if is_running:
            assert record_of(store, "a1", config).id == "a1" and len(asked) == 3
        else:
            with pytest.raises(typer.Exit):
                record_of(store, "a1", config)
            assert asked == ["a1"]
