"""What waits, as people read it."""

from datetime import timedelta

from mailward.cli.queue_text import listed, taken_back, whose_mail
from mailward.delivery.calls import StandingOrder, WaitingMessage, WaitingRecipient
from mailward.model.decision import utc_text
from mailward.model.ids import QueueId
from support.spooling import NOW


def waiting(**said: str) -> WaitingMessage:
    values = dict.fromkeys(("reason", "next_at", "gives_up_at", "left_alone", "words", "via", "notify", "original_recipient"), "")
    recipient = WaitingRecipient(
        index=0, forward_path="bob@example.net", route="relay", status="waiting", failures=0, **{**values, **said}
    )
    return WaitingMessage(
        id=QueueId("0123456789abcdef"),
        received_at=utc_text(NOW),
        reverse_path="a@example.org",
        size_octets=1,
        origin="submission",
        user="a@example.org",
        ret="",
        envelope_id="",
        require_tls=False,
        tls_optional=False,
        hold_until="",
        deliver_by="",
        by_mode="",
        priority=0,
        recipients=(recipient,),
    )


def test_of_long_words_the_list_has_the_end_too_where_the_cause_is() -> None:
    words = f"mx.a-long-name-{'x' * 80}.example.net [192.0.2.1]: Connection refused"
    listed_text = listed([waiting(words=words)], NOW)
    row = listed_text.splitlines()[1]
    assert "mx.a-long-name-" in row and " ... " in row and row.endswith("[192.0.2.1]: Connection refused")
    assert listed_text.endswith("1 message, 1 recipient: 1 waiting")


def test_a_next_hop_that_is_left_alone_is_why_it_waits_and_its_moment_is_the_next() -> None:
    at = utc_text(NOW + timedelta(seconds=40))
    row = listed([waiting(left_alone="mx: Connection refused", next_at=at)], NOW).splitlines()[1]
    assert row.endswith("next hop left alone after: mx: Connection refused") and "(in 40s)" in row


def test_each_order_is_told_with_the_command_that_ends_it() -> None:
    everything = StandingOrder(reason="on a blocklist")
    assert (whose_mail(everything), taken_back(everything)) == ("all mail to other servers", "mailward queue release --all")
    some = StandingOrder(to="far.test", reverse_path="a@b.test")
    assert taken_back(some) == "mailward queue release --to far.test --from a@b.test"
