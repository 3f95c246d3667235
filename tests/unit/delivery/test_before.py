"""How a copy was: read by later releases as it was written, so a changed form wants a new version."""

from dataclasses import replace

import pytest

from mailward.delivery.before import Before, PlaceBefore
from mailward.model.ids import MailboxId, QueueId
from mailward.quarantine import Held

HELD = Held("", QueueId("a1"), 0, "bob@example.org", "", "", 0, asked="team@example.org", account="42")
BEFORE = Before(HELD, (PlaceBefore(MailboxId(7), "Work", ("\\Seen", "$Label")),), 1_700_000_000)
VERSION_1 = (
    '{"held":{"delivery_key":"","id":"a1","index":0,"recipient":"bob@example.org","reason":"","held_at":"","size_octets":0,'
    '"route":"mailbox","reverse_path":"","subject":"","infected":false,"origin":"inbound","user":"","smtputf8":false,'
    '"require_tls":false,"ret":"","envelope_id":"","notify":"","original_recipient":"","tls_optional":false,"hold_until":"",'
    '"deliver_by":"","by_mode":"","by_trace":false,"priority":0,"own_reverse_path":null,"asked":"team@example.org",'
    '"account":"42","author":"","verdict":"","cause":""},"places":[{"mailbox":7,"name":"Work","flags":["\\\\Seen","$Label"]}],'
    '"internal_date":1700000000,"version":1}'
)


VERSION_2 = VERSION_1.replace('"cause":""}', '"cause":"","grounds":"","kept_at":""}').replace('"version":1', '"version":2')


def test_its_form_is_that_of_version_2() -> None:
    assert BEFORE.to_json() == VERSION_2, "write it under a new version, and read this one still"
    assert Before.from_json(VERSION_2) == BEFORE


def test_version_1_is_read_still() -> None:
    assert Before.from_json(VERSION_1) == replace(BEFORE, version=1)


def test_what_was_written_before_there_was_a_version_is_of_version_1() -> None:
    assert Before.from_json(VERSION_1.replace(',"version":1', "")).held == HELD


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (replace(BEFORE, version=3).to_json(), "of version 3, this release reads up to 2"),
        ('{"version": 3, "copy": {}}', "of version 3, this release reads up to 2"),
        ("{}", "missing required field `held`"),
        ("[]", "does not say how it was"),
        ("{", "does not say how it was"),
    ],
)
def test_another_form_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Before.from_json(text)
