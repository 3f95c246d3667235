"""What an account's script does to mail for it, with the real spool and store: where it goes, what is sent, and that it is done once."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mailward.delivery.mda import Copy
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.queue.item import JUNK_FOLDER
from mailward.store.ops import SERVER, ActivateScript, CreateMailbox, PutScript, SetAnnotations
from support.scripts import OCTETS, Place, to

FILES = 'require "fileinto"; if header "subject" "Lunch" { fileinto "Archive"; }'
SENDS_ON = 'redirect "c@example.com";'


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.end()


async def test_without_an_active_script_all_is_as_it_was(place: Place) -> None:
    place.store.open(AccountId("ann")).apply([PutScript("idle", b"discard;")])
    item = await place.deliver()
    assert place.told(item) == ["delivered to INBOX"]


async def test_a_script_files_and_explain_says_which_line_did(place: Place) -> None:
    place.script("# mine\n" + FILES)
    item = await place.deliver()
    (stored,) = place.contents("Archive")
    assert stored.startswith(b"Return-Path: <a@example.net>\r\nReceived: ") and stored.endswith(OCTETS)
    assert place.contents("INBOX") == []
    assert place.told(item) == ["delivered to Archive, by line 2 of the script main"]
    other = await place.deliver(OCTETS.replace(b"Lunch", b"Dinner"))
    assert place.told(other) == ["delivered to INBOX"]


async def test_a_script_reads_what_its_owner_noted_about_his_mailboxes(place: Place) -> None:
    store = place.store.open(AccountId("ann"))
    store.apply([SetAnnotations(store.mailbox("Archive").id, (("/private/comment", b"bills"),))])
    store.apply([SetAnnotations(SERVER, (("/private/vendor/x/away", b"yes"),))])
    place.script(
        'require ["mboxmetadata", "servermetadata", "fileinto"];'
        'if allof(metadata "Archive" "/private/Comment" "bills", servermetadata "/private/vendor/x/away" "yes",'
        ' not metadataexists "INBOX" "/private/comment", not metadataexists "Nowhere" "/private/comment") { fileinto "Archive"; }'
    )
    assert place.told(await place.deliver()) == ["delivered to Archive, by line 1 of the script main"]


async def test_each_recipient_has_a_script_of_its_own(place: Place) -> None:
    place.script(FILES)
    place.script("discard;", "bob")
    item = await place.deliver(OCTETS, to(), to("bob@example.org"))
    assert (len(place.contents("Archive")), len(place.contents("INBOX", "bob"))) == (1, 0)
    assert set(place.told(item)) == {
        "delivered to Archive, by line 1 of the script main",
        "discarded by line 1 of the script main",
    }


async def test_the_envelope_is_that_of_the_recipient(place: Place) -> None:
    place.script(
        'require ["envelope", "fileinto"];'
        'if allof(envelope "to" "ann+lists@example.org", envelope "from" "a@example.net") { fileinto "Archive"; }'
    )
    await place.deliver(OCTETS, to("ann+lists@example.org"))
    await place.deliver()
    assert (len(place.contents("Archive")), len(place.contents("INBOX"))) == (1, 1)


async def test_a_mailbox_that_is_not_there_is_inbox_and_explain_says_so(place: Place) -> None:
    place.script('require "fileinto"; fileinto "Nowhere";')
    item = await place.deliver()
    assert place.told(item) == ["delivered to INBOX (there is no mailbox Nowhere, by line 1 of the script main)"]


async def test_two_places_get_a_copy_each_and_one_place_gets_one(place: Place) -> None:
    place.script('require "fileinto"; fileinto "Archive"; fileinto "Trash"; keep; fileinto "inbox"; fileinto "Nowhere";')
    await place.deliver()
    assert [len(place.contents(name)) for name in ("Archive", "Trash", "INBOX")] == [1, 1, 1]


async def test_what_is_delivered_twice_is_stored_once_in_each_place(place: Place) -> None:
    store = place.store.open(AccountId("ann"))
    store.apply([CreateMailbox("Team")])
    copy = Copy(await place.accept(OCTETS, (to(),)), 0, OCTETS)

    async def attempt(script: str) -> None:
        place.script(script)
        (found,) = await asyncio.to_thread(place.scripted.sort, [copy])
        assert isinstance(found, Copy)
        place.mda.deliver([found])

    for _ in range(2):
        await attempt('require "fileinto"; fileinto "Archive"; fileinto "Team"; keep;')
    await attempt('require "fileinto"; fileinto "Archive";')
    assert [len(place.contents(name)) for name in ("Archive", "Team", "INBOX")] == [1, 1, 1]


async def test_flags_are_those_of_the_script_beside_those_of_the_rules(place: Place) -> None:
    place.script(
        'require ["fileinto", "imap4flags"]; addflag ["\\\\Seen", "$Urgent"]; fileinto "Archive";'
        'fileinto :flags "Later" "Trash"; keep;'
    )
    await place.deliver(OCTETS, to(flags=("$Rule",)))
    assert place.flags("Archive") == [{"\\Seen", "$Urgent", "$Rule"}]
    assert (place.flags("Trash"), place.flags("INBOX")) == ([{"Later", "$Rule"}], [{"\\Seen", "$Urgent", "$Rule"}])


async def test_t_imap_20_more_keywords_than_a_mailbox_can_have_keep_nobody_from_his_mail(place: Place) -> None:
    names = ", ".join(f'"k{number}"' for number in range(80))
    place.script(f'require "imap4flags"; setflag [{names}];')
    await place.deliver(OCTETS, to(flags=("$Rule",)))
    assert place.flags("INBOX") == [{"$Rule"}]


async def test_a_mailbox_is_made_where_the_script_says_so_with_its_special_use(place: Place) -> None:
    place.script(
        'require ["fileinto", "mailbox", "special-use"]; fileinto :create "Lists/dev"; fileinto :specialuse "\\\\Archive" :create "Old";'
        'if mailboxexists "Lists/dev" { discard; } else { keep; }'
    )
    item = await place.deliver()
    assert [len(place.contents(name)) for name in ("Lists/dev", "Archive", "INBOX")] == [1, 1, 1]
    (told,) = place.told(item)
    assert told.startswith("delivered to Lists/dev, by line 1 of the script main; delivered to Archive, by line 1")


# --- reject ---


async def test_what_is_rejected_goes_back_to_its_sender_who_is_proven_and_is_stored_nowhere(place: Place) -> None:
    place.script('require "reject"; reject "Not\r\nat this address";')
    item = await place.deliver(origin="submission", reverse_path="bob@example.org")
    assert place.contents("INBOX") == [] and place.queue.ids() == []
    (report,) = place.contents("INBOX", "bob")
    assert b"The recipient refuses it: Not at this address" in report and b"\r\nStatus: 5.7.1\r\n" in report
    assert place.told(item) == ["failed: refused by line 1 of the script main: Not at this address"]


@pytest.mark.parametrize("word", ["reject", "ereject"])
async def test_t_relay_13_nobody_who_is_not_proven_hears_of_a_rejection(place: Place, word: str) -> None:
    place.script(f'require "{word}"; {word} "no";')
    item = await place.deliver()
    assert place.contents("INBOX") == [] and place.leaving() == []
    (told,) = place.told(item)
    assert "neither SPF nor DMARC proved its reverse-path" in told and "a copy is in quarantine" in told


async def test_what_a_script_sends_and_remembers_beside_a_rejection_is_done(place: Place) -> None:
    place.script(
        'require ["reject", "enotify", "duplicate"]; if not duplicate { notify "mailto:watch@example.net"; reject "no"; }'
    )
    item = await place.deliver(origin="submission", reverse_path="bob@example.org")
    assert [str(sent.recipients[0].forward_path) for sent in place.leaving()] == ["watch@example.net"]
    (told,) = place.told(item)
    assert told.startswith("failed: refused by line 1 of the script main: no; ") and "watch@example.net" in told
    await place.deliver(origin="submission", reverse_path="bob@example.org")
    assert len(place.contents("INBOX")) == 1, "it has come before"


# --- junk ---


async def test_junk_does_not_pass_a_script_that_knows_nothing_of_judgements(place: Place) -> None:
    place.script(FILES + SENDS_ON)
    item = await place.deliver(OCTETS, to(folder=JUNK_FOLDER))
    assert place.told(item) == ["delivered to Junk"] and place.leaving() == []


async def test_a_folder_that_a_rule_named_is_where_keep_leads(place: Place) -> None:
    place.script(FILES + "else { keep; }")
    kept = await place.deliver(OCTETS.replace(b"Lunch", b"Dinner"), to(folder="Trash"))
    filed = await place.deliver(OCTETS, to(folder="Trash"))
    assert place.told(kept) == ["delivered to Trash, by line 1 of the script main"]
    assert place.told(filed) == ["delivered to Archive, by line 1 of the script main"]


# --- redirect ---


async def test_redirect_sends_the_octets_on_from_an_address_of_ours_and_stores_nothing(place: Place) -> None:
    place.script(SENDS_ON)
    item = await place.deliver()
    assert place.contents("INBOX") == []
    (leaving,) = place.leaving()
    (recipient,) = leaving.recipients
    assert (recipient.forward_path, recipient.route) == ("c@example.com", "relay")
    assert leaving.reverse_path_of(0).startswith("SRS0=") and leaving.reverse_path_of(0).endswith("=example.net=a@example.org")
    assert place.queue.octets(leaving.id) == OCTETS and leaving.trace == item.trace
    assert [edit for edit in recipient.edits if "Delivered-To" in repr(edit) and "ann@example.org" in repr(edit)]
    assert place.told(item) == [f"redirected to c@example.com as {leaving.id} by line 1 of the script main"]
    assert leaving.decision.recipients[0].source_name == "redirected from ann@example.org by line 1 of the script main"
    assert leaving.decision.reply == f"none: it came as {item.id}"


async def test_redirect_and_keep_do_both(place: Place) -> None:
    place.script(SENDS_ON + "keep;")
    item = await place.deliver()
    assert len(place.contents("INBOX")) == 1 and len(place.leaving()) == 1
    (told,) = place.told(item)
    assert told.startswith("delivered to INBOX, by line 1 of the script main; redirected to c@example.com as ")


async def test_the_null_reverse_path_and_senders_of_ours_stay_as_they_are(place: Place) -> None:
    place.script(SENDS_ON)
    await place.deliver(reverse_path="")
    await place.deliver(reverse_path="bob@example.org")
    assert {one.reverse_path_of(0) for one in place.leaving()} == {"", "bob@example.org"}


async def test_who_never_wanted_reports_gets_none_of_the_redirected_copy(place: Place) -> None:
    place.script(SENDS_ON)
    recipient = to()
    said = replace(recipient.parameters, notify=("NEVER",))
    await place.deliver(OCTETS, replace(recipient, parameters=said))
    assert place.leaving()[0].recipients[0].parameters.notify == ("NEVER",)


async def test_redirect_within_this_server_meets_the_script_there(place: Place) -> None:
    place.script('redirect "bob@example.org";')
    place.script(FILES, "bob")
    await place.deliver()
    (stored,) = place.contents("Archive", "bob")
    assert b"Delivered-To: ann@example.org\r\n" in stored and place.contents("INBOX") == []


async def test_t_relay_15_two_who_redirect_to_each_other_end_with_a_copy(place: Place) -> None:
    place.script('redirect "bob@example.org";')
    place.script('redirect "ann@example.org";', "bob")
    await place.deliver()
    (stored,) = place.contents("INBOX")
    assert b"Delivered-To: bob@example.org\r\n" in stored and b"Delivered-To: ann@example.org\r\n" in stored
    assert place.contents("INBOX", "bob") == [] and place.leaving() == []


@pytest.mark.parametrize("address", ["ann@example.org", "anna@example.org", "ann+x@example.org"])
async def test_t_relay_15_redirect_to_oneself_keeps(place: Place, address: str) -> None:
    place.script(f'redirect "{address}";')
    item = await place.deliver()
    assert place.told(item) == [
        f"delivered to INBOX, by line 1 of the script main; not redirected to {address}, since that is this mailbox"
    ]


async def test_t_relay_15_what_has_been_here_before_or_everywhere_is_kept(place: Place) -> None:
    place.script(SENDS_ON)
    await place.deliver(b"Delivered-To: ANN@example.org\r\n" + OCTETS)
    await place.deliver(b"Received: from x by y; Sun, 1 Mar 2026 12:00:00 +0000\r\n" * 60 + OCTETS)
    assert len(place.contents("INBOX")) == 2 and place.leaving() == []


async def test_t_relay_15_scripts_that_cover_their_traces_make_no_circle(place: Place) -> None:
    covers = 'require "editheader"; deleteheader "Delivered-To"; addheader "Delivered-To" "x@example.com";'
    place.script(covers + "".join(f'redirect "bob+{n}@example.org";' for n in range(4)))
    place.script(covers + "".join(f'redirect "ann+{n}@example.org";' for n in range(4)), "bob")
    await place.deliver()
    assert place.leaving() == []
    assert 1 <= len(place.contents("INBOX")) <= 4 and place.contents("INBOX", "bob") == []


async def test_t_relay_15_what_many_owners_here_have_sent_on_is_kept(place: Place) -> None:
    place.script(SENDS_ON)
    passed = b"".join(b"Delivered-To: %d@example.org\r\n" % n for n in range(4))
    elsewhere = b"".join(b"Delivered-To: %d@example.net\r\n" % n for n in range(9))
    await place.deliver(passed + OCTETS)
    assert len(place.contents("INBOX")) == 1 and place.leaving() == []
    await place.deliver(elsewhere + OCTETS)
    assert len(place.leaving()) == 1, "others say nothing of circles here"


async def test_redirect_to_nobody_of_this_server_keeps(place: Place) -> None:
    place.script('redirect "nobody@example.org";')
    item = await place.deliver()
    assert len(place.contents("INBOX")) == 1 and place.leaving() == []
    assert place.told(item)[0].endswith("since that is no mailbox of this server")


async def test_t_relay_11_nobody_signs_for_an_author_whom_a_script_has_written(place: Place) -> None:
    place.script('require "editheader"; deleteheader "From"; addheader "From" "bob@example.org"; redirect "c@example.com";')
    await place.deliver(origin="submission", user="ann@example.org", reverse_path="ann@example.org")
    (leaving,) = place.leaving()
    assert (leaving.origin, leaving.user) == ("inbound", "")


async def test_t_imap_20_more_redirects_than_four_are_a_mistake_that_keeps(place: Place) -> None:
    place.script("".join(f'redirect "{n}@example.com";' for n in range(5)))
    await place.deliver()
    assert [one.recipients[0].forward_path for one in place.leaving()] == []
    assert len(place.contents("INBOX")) == 2, "the mail and the notice"


async def test_a_redirected_copy_leaves_once_though_the_delivery_is_repeated(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.script(SENDS_ON + "keep;")
    deliver, failing = place.mda.deliver, [True]

    def fails_once(copies: Sequence[Copy]) -> tuple[str, ...]:
        if failing and failing.pop():
            raise StorageError("disk full")
        return deliver(copies)

    monkeypatch.setattr(place.mda, "deliver", fails_once)
    item = await place.deliver()
    assert len(place.leaving()) == 2, "the copy, and the mail that waits for another attempt"
    place.clock.seconds += 4000
    await place.work()
    assert len(place.leaving()) == 1 and len(place.contents("INBOX")) == 1
    assert place.told(item)[-1].startswith("delivered to INBOX")


async def test_the_process_that_takes_mail_sends_nothing_and_leaves_it_to_the_queue(place: Place) -> None:
    place.script(SENDS_ON, "bob")
    item = await place.accept(OCTETS, (to(), to("bob@example.org")))
    place.first.offer(item)
    await asyncio.to_thread(place.first.wait_idle)
    assert len(place.contents("INBOX")) == 1 and place.told(item) == ["delivered to INBOX"]
    await place.work()
    assert len(place.contents("INBOX")) == 1 and len(place.leaving()) == 1


# --- mistakes ---


async def test_a_script_that_goes_wrong_keeps_and_its_owner_hears_of_it_once(place: Place) -> None:
    place.script("\n".join(f'redirect "{n}@example.com";' for n in range(5)))
    item = await place.deliver()
    await place.deliver()
    mail = place.contents("INBOX")
    (told,) = [octets for octets in mail if b"\r\nSubject: Your mail filter has a mistake\r\n" in octets]
    assert len(mail) == 3
    assert b"\r\nTo: <ann@example.org>\r\n" in told and b"\r\nAuto-Submitted: auto-generated\r\n" in told and b"5:1: " in told
    assert told.startswith(b"Return-Path: <>\r\n")
    (text,) = place.told(item)
    assert text.startswith("delivered to INBOX; the script main went wrong: 5:1: ")
    place.script("\n\n" + "\n".join(f'redirect "{n}@example.com";' for n in range(5)))
    await place.deliver()
    assert len([octets for octets in place.contents("INBOX") if b"Subject: Your mail filter" in octets]) == 2


async def test_a_script_of_another_release_that_is_wrong_now_keeps(place: Place) -> None:
    place.store.open(AccountId("ann")).apply([PutScript("old", b'require "vnd.example.gone"; discard;'), ActivateScript("old")])
    item = await place.deliver()
    (text,) = place.told(item)
    assert text.startswith("delivered to INBOX; the script old went wrong: 1:9: unknown extension")


async def test_a_fault_of_ours_in_a_script_keeps_nobody_from_his_mail(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mailward.delivery.scripted.evaluate", broken)
    place.script(FILES)
    item = await place.deliver()
    assert place.told(item) == ["delivered to INBOX"]


async def test_t_imap_20_an_account_whose_scripts_took_their_processor_time_has_its_mail_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = itertools.count(0.0, 61.0)
    monkeypatch.setattr("mailward.delivery.scripted.thread_time", lambda: next(now_s))
    place.script(FILES)
    for _ in range(6):
        item = await place.deliver()
    assert "scripts have taken more than 120 s of processor time in an hour" in place.told(item)[-1]
    assert len(place.contents("Archive")) == 4, "two of each process"
    assert len(place.contents("INBOX")) == 3, "two are kept, and the owner is told once"
    place.script(FILES, "bob")
    await place.deliver(OCTETS, to("bob@example.org"))
    assert len(place.contents("Archive", "bob")) == 1
