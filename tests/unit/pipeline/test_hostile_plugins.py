"""Every hook, with a plugin that does everything wrong: the mail is deferred, the others' findings stay, the reason is told."""

import pytest

from mailward.testing import Scan
from support.plugin_modules import plugin_module

MAIL = "From: a@example.net\nSubject: hello\n\ntext\n"

ARGUMENTS = {
    "inspect_connect": "session",
    "inspect_helo": "session",
    "inspect_mail": "session",
    "inspect_rcpt": "forward_path",
    "inspect_message": "message",
    "edit_message": "message",
}

GOOD = """
@hookimpl
def inspect_mail(session):
    return Finding("SEEN", "mail seen")

@hookimpl
def inspect_message(message):
    return Finding("SEEN", "message seen")
"""

# name -> (what stands before "def", what the function does, what explain must say)
FAULTS = {
    "raises": ("", "raise KeyError('lost')", "KeyError: 'lost' (line"),
    "raises on the loop": ("async ", "raise KeyError('lost')", "KeyError: 'lost' (line"),
    "raises something without text": ("", "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})", "cannot be shown"),
    "exits": ("", "sys.exit(3)", "SystemExit: 3"),
    "exits on the loop": ("async ", "sys.exit(3)", "SystemExit: 3"),
    "interrupts": ("async ", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    "raises StopIteration in a thread": ("", "raise StopIteration(1)", "StopIteration: 1"),
    "hangs": ("async ", "await asyncio.Event().wait()", "took longer than its limit"),
    "hangs and ignores being cancelled": (
        "async ",
        "end = time.monotonic() + 0.3\n    while time.monotonic() < end:\n        try:\n"
        "            await asyncio.sleep(0.05)\n        except asyncio.CancelledError:\n            pass",
        "took longer than its limit",
    ),
    "waits in a thread": ("", "threading.Event().wait(0.5)", "took longer than its limit"),
    "cancels itself": ("async ", "raise asyncio.CancelledError", "it cancelled itself"),
    "returns a word": ("", "return 'rubbish'", "returned a value of type str"),
    "returns a number": ("async ", "return 17", "returned a value of type int"),
    "returns a dictionary": ("", "return {'SEEN': 1}", "returned a value of type dict"),
    "returns 10 MB": ("", "return b'x' * 10_000_000", "returned a value of type bytes"),
    "returns far too many": ("", "return (make() for _ in range(10**9))", "returned more than"),
    "returns a list with rubbish in it": ("", "return [make(), None]", "returned a value of type NoneType among"),
    "fails while it is read": ("", "yield make()\n    raise OSError('half way')", "OSError: half way"),
    "forgets async": ("", "async def later(): ...\n    return later()", "write async def"),
}


def broken(hook: str, way: str, body: str) -> str:
    made = "PrefixSubject('x')" if hook == "edit_message" else "Finding('SEEN', 'seen')"
    return f"def make():\n    return {made}\n\n@hookimpl\n{way}def {hook}({ARGUMENTS[hook]}):\n    {body}\n"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", ARGUMENTS)
def test_t_plug_03_a_plugin_that_fails_defers_the_mail_and_the_others_still_count(scan: Scan, hook: str, fault: str) -> None:
    way, body, reason = FAULTS[fault]
    bad = plugin_module("bad", broken(hook, way, body))
    timeout = "100ms" if reason == "took longer than its limit" else "30s"
    result = scan(MAIL, plugins=[bad, plugin_module("good", GOOD)], settings={"bad": {"timeout": timeout}})
    assert result.reply.startswith("451 4.3.0 ")
    assert result.verdict == "tempfail"
    call = result.call("bad", hook)
    assert call.status == "failed"
    assert reason in (call.error or "")
    assert [finding.text for name, finding in result.observed if name == "good"] == ["mail seen", "message seen"]
    assert result.record.facts["bad.status"] == "failed"
    assert result.record.recipients[0].source_name == "bad failed"
    assert result.edits == ()


@pytest.mark.parametrize(
    ("on_error", "verdict"), [("accept", "accept"), ("junk", "junk"), ("quarantine", "quarantine"), ("reject", "reject")]
)
def test_the_policy_says_what_a_failure_means(scan: Scan, on_error: str, verdict: str) -> None:
    bad = plugin_module("bad", broken("inspect_message", "", "raise OSError"))
    assert scan(MAIL, plugins=[bad], settings={"bad": {"on_error": on_error}}).verdict == verdict


FINDINGS = {
    "a symbol nobody declared": ("Finding('OTHER', 'x')", "the symbol 'OTHER'"),
    "a strength above 1": ("Finding('SEEN', 'x', strength=1.5)", "the strength 1.5"),
    "a negative strength": ("Finding('SEEN', 'x', strength=-1)", "the strength -1"),
    "a strength that is no number": ("Finding('SEEN', 'x', strength=float('nan'))", "the strength nan"),
    "a strength that is a word": ("Finding('SEEN', 'x', strength='1')", "the strength '1'"),
    "a text that is none": ("Finding('SEEN', b'x')", "a text of type bytes"),
    "a verdict that cannot be asked for": ("Finding('SEEN', 'x', asks='accept')", "asks='accept'"),
    "facts of a foreign class": ("Finding('SEEN', 'x', facts=Facts())", "facts of the class Facts"),
    "a fact of another type": ("Finding('SEEN', 'x', facts=OwnFacts(count='1'))", "the fact count as a value of type str"),
    "a truth for a number": ("Finding('SEEN', 'x', facts=OwnFacts(count=True))", "the fact count as a value of type bool"),
    "a list for a tuple": ("Finding('SEEN', 'x', facts=OwnFacts(names=['a']))", "the fact names as a value of type list"),
    "an endless number": ("Finding('SEEN', 'x', facts=OwnFacts(share=float('inf')))", "the fact share"),
    "a fact of 10 MB": ("Finding('SEEN', 'x', facts=OwnFacts(word='x' * 10_000_000))", "fact word that is too large"),
    "an auth result with a line end": ("Finding(None, 'x', auth=(AuthResult('spf', 'pass\\r\\nX: y'),))", "the auth result"),
    "an auth property with a line end": (
        "Finding(None, 'x', auth=(AuthResult('spf', 'pass', (('smtp.a\\r\\n', 'b'),)),))",
        "the auth property",
    ),
}


@pytest.mark.parametrize("answer", FINDINGS)
def test_t_plug_07_a_finding_that_cannot_be_used_is_a_failed_call(scan: Scan, answer: str) -> None:
    expression, reason = FINDINGS[answer]
    bad = plugin_module("bad", f"@hookimpl\ndef inspect_message(message):\n    return {expression}\n")
    result = scan(MAIL, plugins=[bad])
    assert result.reply.startswith("451 4.3.0 ")
    assert reason in (result.call("bad").error or "")
    assert result.findings == {}


def test_t_plug_07_text_of_a_finding_is_cleaned_and_cut(scan: Scan) -> None:
    text = r"'a\r\nb\x1b[31m\u202ec\x00\ud800' + 'd' * 10_000_000"
    talker = plugin_module("talker", f"@hookimpl\ndef inspect_message(message):\n    return Finding('SEEN', {text})\n")
    found = scan(MAIL, plugins=[talker]).findings["SEEN"].text
    assert found.startswith("a  b [31m c  ddd")
    assert len(found) == 300


def test_t_plug_07_control_characters_in_facts_do_not_reach_the_record(scan: Scan) -> None:
    made = r"OwnFacts(word='a\r\nb', names=('c\x1b',))"
    body = f"@hookimpl\ndef inspect_message(message):\n    return Finding(None, 'x', facts={made})\n"
    facts = scan(MAIL, plugins=[plugin_module("talker", body)]).record.facts
    assert facts["talker.word"] == "a  b"
    assert facts["talker.names"] == ("c ",)


EDITS = {
    "a line end in a value": "AddHeader('X-A', 'b\\r\\nBcc: c@example.net')",
    "a NUL in a value": "AddHeader('X-A', '\\0')",
    "a colon in a name": "AddHeader('X-A: b', 'c')",
    "a blank in a name": "RemoveHeader('X A')",
    "an empty name": "RemoveHeader('')",
    "a value of 10 MB": "AddHeader('X-A', 'x' * 10_000_000)",
    "a line end in a prefix": "PrefixSubject('a\\nb')",
    "a prefix that is none": "PrefixSubject(7)",
    "a forged result": "AddHeader('authentication-results', 'mx.example.org; spf=pass')",
    "a trace field removed": "RemoveHeader('Received')",
    "one trace field removed": "RemoveHeader('received', 0)",
    "a trace field replaced": "ReplaceHeader('Return-Path', '<a@example.net>')",
    "a line end in a new value": "ReplaceHeader('Subject', 'b\\r\\nBcc: c@example.net')",
    "a place before the first": "RemoveHeader('X-A', -1)",
    "a place that is none": "ReplaceHeader('X-A', 'b', True)",
    "a place that is a word": "RemoveHeader('X-A', '0')",
    "a part that is not there": "ReplacePart('2', 'text/plain', b'')",
    "a part without a number": "ReplacePart(1, 'text/plain', b'')",
    "a content that is text": "ReplacePart('1', 'text/plain', 'new')",
    "a content of 10 MB": "ReplacePart('1', 'text/plain', b'x' * 10_000_000)",
    "an encoding that is none": "ReplacePart('1', 'text/plain', b'', 'binary')",
    "an encoding that cannot be compared": "ReplacePart('1', 'text/plain', b'', ['base64'])",
    "a multipart for a part": "ReplacePart('1', 'multipart/mixed; boundary=x', b'')",
    "a line end in a type": "ReplacePart('1', 'text/plain;\\r\\n x=y', b'')",
    "a type that is none": "ReplacePart('1', None, b'')",
    "a line end in a disposition": "ReplacePart('1', 'text/plain', b'', disposition='inline\\r\\nX: y')",
    "an edit of its own class": "type('Own', (PrefixSubject,), {})('x')",
}


@pytest.mark.parametrize("edit", EDITS)
def test_t_plug_07_an_edit_that_cannot_be_used_is_a_failed_call(scan: Scan, edit: str) -> None:
    bad = plugin_module("bad", f"@hookimpl\ndef edit_message(message):\n    return [AddHeader('X-Fine', 'y'), {EDITS[edit]}]\n")
    result = scan(MAIL, plugins=[bad])
    assert result.reply.startswith("451 4.3.0 ")
    assert result.edits == ()


def test_a_plugin_that_failed_to_look_edits_nothing(scan: Scan) -> None:
    body = (
        "@hookimpl\ndef inspect_message(message):\n    raise OSError\n\n"
        "@hookimpl\ndef edit_message(message):\n    return PrefixSubject('x')\n"
    )
    assert scan(MAIL, plugins=[plugin_module("bad", body)], settings={"bad": {"on_error": "accept"}}).edits == ()


@pytest.mark.parametrize(
    "change", ["session.helo = 'x'", "envelope.reverse_path = None", "evidence.status['x'] = 'ok'", "settings.mode = 1"]
)
def test_t_plug_04_what_a_plugin_is_given_it_cannot_change(scan: Scan, change: str) -> None:
    bad = plugin_module("bad", f"@hookimpl\ndef inspect_message(session, envelope, evidence, settings):\n    {change}\n")
    result = scan(MAIL, plugins=[bad])
    assert result.call("bad").status == "failed"
    assert result.record.session["helo.name"] == "mail.example.net"


def test_t_plug_05_the_stronger_verdict_wins_and_no_plugin_can_accept(scan: Scan) -> None:
    strict = plugin_module("strict", "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'bad', asks='reject')\n")
    mild = plugin_module("mild", "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'hm', asks='junk')\n")
    heeded = {"strict": {"heed": True}, "mild": {"heed": True}}
    assert scan(MAIL, plugins=[mild, strict], settings=heeded).verdict == "reject"
    assert scan(MAIL, plugins=[mild, strict], settings={"mild": {"heed": True}}).verdict == "junk"
    assert scan(MAIL, plugins=[mild, strict]).verdict == "accept"


def test_t_plug_06_every_edit_comes_after_every_inspection_in_the_policys_order(scan: Scan) -> None:
    body = (
        "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'x')\n\n"
        "@hookimpl\ndef edit_message(evidence):\n    return PrefixSubject({!r} + str(len(evidence.findings)))\n"
    )
    plugins = [plugin_module(name, body.format(name)) for name in ("aaa", "bbb", "ccc")]
    orders = {"aaa": {"order": 3}, "bbb": {"order": 1}, "ccc": {"order": 2}}
    assert [edit.prefix for edit in scan(MAIL, plugins=plugins, settings=orders).edits] == ["bbb3", "ccc3", "aaa3"]  # type: ignore[union-attr]


@pytest.mark.parametrize("fault", ["raises", "hangs", "exits on the loop", "waits in a thread"])
def test_a_watcher_that_fails_is_counted_and_nothing_else(scan: Scan, fault: str) -> None:
    way, body, _ = FAULTS[fault]
    bad = plugin_module("bad", f"@hookimpl\n{way}def on_moved(moved):\n    {body}\n")
    kept = plugin_module(
        "kept",
        "@hookimpl\nasync def on_moved(moved, services):\n    await services.kv.put_many({b'at': moved.target.encode()})\n",
    )
    with pytest.raises(AssertionError, match="on_moved failed"):
        scan.moved(MAIL, [bad, kept], settings={"bad": {"timeout": "100ms"}})
    assert scan.services.kv["kept"].values == {b"at": b"Junk"}
