"""Which mail gets a connection when, with real connections: the dead and the slow, many senders, many domains on one host."""

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.delivery import attempts, outbound
from mailward.delivery.calls import Selection
from mailward.delivery.control import QueueControl
from mailward.delivery.limits import OutboundLimits
from mailward.delivery.mda import Copy
from mailward.delivery.outbound import Kind
from mailward.delivery.route import Target
from mailward.delivery.shared_failures import Shared
from mailward.model.decision import utc_text
from mailward.model.tls import TlsLevel, TlsRequirement
from mailward.net.connect import SmtpConnector
from mailward.net.crowd import Crowd
from mailward.net.hop import SmtpHop
from mailward.net.tls import verifying_context
from mailward.protocol.smtp.outgoing import OutgoingMail
from mailward.queue.item import QueueItem
from mailward.queue.schedule import FIRST_REST_S
from mailward.testing import FakeZone
from support.relaying import SHORT, Office
from support.silence import black_hole
from support.smtp_peer import HANG, OK, Peer, peer
from support.smtp_service import throw_away_certificate
from support.spooling import flush


class Place:
    """Where a route leads that is no peer."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port


@contextlib.asynccontextmanager
async def office(folder: Path, routes: Mapping[str, Peer | Place], **settings: object) -> AsyncIterator[Office]:
    made = Office(folder, routes, **settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


async def test_t_q_16_hosts_that_never_answer_take_no_connection_from_those_that_do(tmp_path: Path) -> None:
    """Twenty dead destinations to two connections: all of the living have their mail before the first of the dead is given up."""
    limits = OutboundLimits(connections=2, patience_s=0.05, grace_s=0.1)
    connector = SmtpConnector("mail.example.org", timeouts=replace(SHORT, connect_s=600))
    with contextlib.ExitStack() as stack:
        dead = {f"dead{n}.test": Place(*stack.enter_context(black_hole(f"127.0.1.{n + 1}"))) for n in range(20)}
        good = stack.enter_context(peer())
        async with office(tmp_path, {**dead, "*": good}, limits=limits, connector=connector) as made:
            unreachable = [await made.post(f"a@{domain}") for domain in dead]
            for n in range(40):
                await made.post(f"a@good{n}.test")
            await made.passes.run_once()
            await asyncio.to_thread(good.wait_for, 40)
            assert all(made.open(item) == {0: 0} for item in unreachable)


async def test_t_q_16_the_silent_hosts_of_one_sender_take_no_connection_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He has more of them than there are places for the silent and for those that answer together."""
    limits = OutboundLimits(connections=10, silent=10, patience_s=0.01, grace_s=0.1)
    connector = SmtpConnector("mail.example.org", timeouts=replace(SHORT, connect_s=600))
    with contextlib.ExitStack() as stack:
        dead = {f"dead{n}.test": Place(*stack.enter_context(black_hole(f"127.0.1.{n + 1}"))) for n in range(40)}
        good = stack.enter_context(peer())
        async with office(tmp_path, {**dead, "*": good}, limits=limits, connector=connector) as made:
            for domain in dead:
                await made.post(f"a@{domain}", user="eve@example.org")
            places, start, is_full = made.manager._places, made.manager._start, asyncio.Event()

            def watched() -> None:
                start()
                if places[Kind.SILENT].taken == places[Kind.ANSWERING].taken == 8:
                    is_full.set()

            monkeypatch.setattr(made.manager, "_start", watched)
            await made.passes.run_once()
            async with asyncio.timeout(30):
                await is_full.wait()
            for n in range(20):
                await made.post(f"a@good{n}.test", user="bob@example.org")
            await made.passes.run_once()
            await asyncio.to_thread(good.wait_for, 20)
            assert places[Kind.SILENT].taken >= 8


async def test_t_q_15_a_domain_whose_name_servers_failed_is_not_looked_up_again_at_once(tmp_path: Path) -> None:
    zone = FakeZone()
    zone.fail("far.test", "MX")
    async with office(tmp_path, {}, zone=zone) as made:
        first = await made.post("a@far.test")
        await made.work()
        asked = len(zone.asked)
        items = [await made.post("a@far.test") for _ in range(5)]
        await made.work()
        assert len(zone.asked) == asked and all(made.open(item) == {0: 0} for item in items)
        made.spool.retry_now([(first.id, 0)])
        made.agenda.plan(first.id, 0, is_ordered=True)
        await made.work()
        assert len(zone.asked) > asked


async def test_t_q_15_what_waits_for_a_host_that_was_down_comes_back_over_one_connection_at_first(tmp_path: Path) -> None:
    with peer({"CONNECT": b"421 4.3.2 closed today\r\n"}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            for _ in range(30):
                await made.post("a@far.test")
            await made.work()
            assert far.connections == 1
            late = await made.post("late@far.test")
            await made.work()
            assert far.connections == 1 and made.open(late) == {0: 0}  # it was left alone, and nothing is held against the mail
            open_at_first: list[int] = []

            def count(other: Peer) -> bytes:
                open_at_first.append(other.open_now)
                return OK

            far.answers = {"MAIL": count}
            await made.later(600)
            assert len(far.taken) == 31 and not made.spool.ids()
            assert open_at_first[0] == 1 and far.most_open <= 5


async def test_t_q_16_mail_that_shares_a_failure_is_noted_when_no_living_host_waits_for_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer({"CONNECT": b"421 4.3.2 closed today\r\n"}) as dead, peer() as good:
        async with office(tmp_path, {"dead.test": dead, "*": good}, limits=OutboundLimits(connections=1)) as made:
            unreachable = [await made.post("a@dead.test") for _ in range(10)]
            for n in range(20):
                await made.post(f"a@good{n}.test")
            served: list[int] = []
            fail = made.manager._shared_failures._fail

            async def watched(sharing: Sequence[Shared]) -> None:
                served.append(len(good.taken))
                await fail(sharing)

            monkeypatch.setattr(made.manager._shared_failures, "_fail", watched)
            await made.work()
            assert served and served[0] >= 19 and dead.connections == 1
            assert all(made.open(item) == {0: 1} for item in unreachable)


async def test_an_order_by_hand_reaches_a_host_that_is_left_alone(tmp_path: Path) -> None:
    with peer({"CONNECT": b"421 4.3.2 closed today\r\n"}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post("a@far.test")
            await made.work()
            far.answers = {}
            made.spool.retry_now([(item.id, 0)])
            made.agenda.plan(item.id, 0, is_ordered=True)
            await made.work()
            assert len(far.taken) == 1


@pytest.mark.parametrize("order", ["retry", "hold and release"])
async def test_an_order_by_hand_reaches_a_host_left_alone_for_mail_that_was_never_tried_too(tmp_path: Path, order: str) -> None:
    """Decision 0020: what comes while the next hop is left alone is not tried; an admin's order ends that."""
    with peer({"CONNECT": b"421 4.3.2 closed today\r\n"}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            await made.post("first@far.test")
            await made.work()
            late = await made.post("late@far.test")
            await made.work()
            control = QueueControl(made.spool, made.agenda, made.ledger, NoKeeper(), made.standing, made.clock)
            for expected in (1, 2):  # whether it fails again or was never tried
                assert far.connections == expected
                if order == "retry":
                    control.retry(Selection(id=late.id))
                else:
                    control.hold(Selection(id=late.id), "a moment")
                    control.release(Selection(id=late.id))
                await made.work()
                assert made.open(late) == {0: expected}


async def test_what_waits_for_a_host_that_is_left_alone_says_so_and_goes_as_soon_as_another_message_got_through(
    tmp_path: Path,
) -> None:
    with peer({"CONNECT": b"421 4.3.2 closed today\r\n"}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            first = await made.post("first@far.test")
            await made.work()
            late = await made.post("late@far.test")
            await made.work()
            control = QueueControl(made.spool, made.agenda, made.ledger, NoKeeper(), made.standing, made.clock)
            (message,) = control.list(Selection(id=late.id, problem="closed today")).messages
            (recipient,) = message.recipients
            rest_until = utc_text(made.clock.now() + timedelta(seconds=FIRST_REST_S))
            assert (recipient.next_at, recipient.failures, recipient.words) == (rest_until, 0, "")
            assert late.id in made.ledger.records  # where `explain` looks
            assert "421 4.3.2 closed today" in recipient.left_alone
            assert recipient.gives_up_at == utc_text(made.clock.now() + timedelta(days=5))
            (group,) = control.count(Selection(), "answer").groups
            assert group.recipients == 2 and "421 4.3.2 closed today" in group.name
            far.answers = {}
            control.retry(Selection(id=first.id))
            await made.work()
            await made.work()
            assert [taken.forward_paths for taken in far.taken] == [("first@far.test",), ("late@far.test",)]
            assert not made.spool.ids()


class NoKeeper:
    """Nothing is dropped here."""

    def keep(self, copy: Copy, reason: str) -> None:
        raise AssertionError(reason)


def _one_only(other: Peer) -> bytes:
    return b"421 4.7.0 too many connections\r\n" if other.open_now > 1 else b"220 mx.example.net ESMTP\r\n"


async def test_a_host_that_refuses_more_connections_than_one_gets_all_over_that_one(tmp_path: Path) -> None:
    """And what was to go over a refused connection has not failed: it goes first over the one that works."""
    with peer({"CONNECT": _one_only}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            items = [await made.post("a@far.test") for _ in range(30)]
            await made.work()
            refused = far.connections - len({taken.connection for taken in far.taken})
            assert 1 <= refused <= 8  # ever fewer are tried, the more often one is refused
            assert len(far.taken) == 30 and not made.spool.ids()
            assert all(event.startswith("relayed") for item in items for event in made.events(item))


async def test_what_was_put_back_when_the_server_stops_is_left_to_the_next_start(tmp_path: Path) -> None:
    with peer({"CONNECT": _one_only}) as far:
        limits = OutboundLimits(grace_s=0.1)
        made = Office(tmp_path, {"far.test": far}, limits=limits)

        def hang_on_the_second(other: Peer) -> bytes:
            return HANG if other.taken else OK

        far.answers["MAIL"] = hang_on_the_second
        items = [await made.post("a@far.test") for _ in range(20)]
        await made.passes.run_once()
        await asyncio.to_thread(far.wait, lambda: far.connections > 1)
        await made.close()
        far.answers = {}
        again = Office(tmp_path, {"far.test": far})
        again.agenda.adopt()
        states = [state for item in items for state in again.spool.open_recipients(item.id).values()]
        assert len(states) == 20 - len(far.taken) and all(state.begun == 0 for state in states)
        await again.work()
        assert len(far.taken) == 20 and not again.spool.ids()
        await again.close()


async def test_domains_on_one_host_share_its_connections(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}, limits=OutboundLimits(connections_per_domain=2)) as made:
            for n in range(60):
                await made.post(f"a@domain{n}.test")
            await made.work()
            assert len(far.taken) == 60 and far.most_open <= 2 and far.connections <= 4


async def test_t_tls_a_connection_that_proved_one_domain_serves_no_other(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = throw_away_certificate(tmp_path_factory.mktemp("tls"), "one.test")
    trusting = verifying_context()
    trusting.load_verify_locations(certificate[0])
    connector = SmtpConnector("mail.example.org", timeouts=SHORT, verifying=trusting)
    with peer(certificate=certificate) as far:
        limits = OutboundLimits(connections_per_domain=1)
        async with office(tmp_path, {"*": far}, limits=limits, connector=connector) as made:
            made.rules.levels = {"one.test": TlsLevel.VERIFIED, "two.test": TlsLevel.VERIFIED}
            one, two, three = [await made.post(f"a@{name}.test") for name in ("one", "two", "three")]
            await made.work()
            assert made.open(one) == {} and made.open(three) == {}
            assert made.open(two) == {0: 1} and "does not name" in made.events(two)[0]
            assert {taken.forward_paths for taken in far.taken} == {("a@one.test",), ("a@three.test",)}


async def test_one_message_passes_the_thousand_of_another_sender(tmp_path: Path) -> None:
    with peer() as far:
        limits = OutboundLimits(connections=1, connections_per_domain=1)
        async with office(tmp_path, {"*": far}, limits=limits) as made:
            for n in range(200):
                await made.post(f"x{n}@far.test", user="ann@example.org")
            await made.post("bobs@far.test", user="bob@example.org")
            await made.post("report@far.test", sender="", origin="server")
            await made.work()
            order = [taken.forward_paths[0] for taken in far.taken]
            assert len(order) == 202
            assert order.index("bobs@far.test") < 3 and order.index("report@far.test") < 3


async def test_a_connection_is_kept_for_the_next_message(tmp_path: Path) -> None:
    with peer() as far:
        limits = OutboundLimits(connections_per_domain=1)
        async with office(tmp_path, {"*": far}, limits=limits, linger_s=600) as made:
            for count in range(1, 6):
                await made.post(f"a@domain{count}.test")
                await made.passes.run_once()
                await asyncio.to_thread(far.wait_for, count)
            assert far.connections == 1


async def test_a_connection_that_the_server_ends_meanwhile_is_made_anew(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}, linger_s=600) as made:
            await made.post("a@far.test")
            await made.passes.run_once()
            await asyncio.to_thread(far.wait_for, 1)
            far.hang_up()
            item = await made.post("a@far.test")
            await made.passes.run_once()
            await asyncio.to_thread(far.wait_for, 2)
            assert far.connections == 2
        again = Office(tmp_path, {"*": far})
        await again.work()
        assert again.open(item) == {} and len(far.taken) == 2
        await again.close()


async def test_a_connection_gives_way_when_others_wait(tmp_path: Path) -> None:
    with peer() as busy, peer() as other:
        limits = OutboundLimits(connections=1, turn=2)
        async with office(tmp_path, {"busy.test": busy, "other.test": other}, limits=limits) as made:
            for _ in range(20):
                await made.post("a@busy.test")
            await made.post("a@other.test")
            await made.work()
            assert len(busy.taken) == 20 and other.taken[0].at < busy.taken[5].at


async def test_t_q_17_more_than_a_pass_takes_leaves_in_the_next_ones_and_items_stay_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "MOST_A_PASS", 7)
    monkeypatch.setattr(outbound, "MOST_ITEMS", 3)
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            for _ in range(20):
                await made.post("a@far.test")
            for expected in (7, 14, 20):
                await made.work()
                assert len(far.taken) == expected
            assert not made.spool.ids()


async def test_a_lookup_that_fails_unforeseen_leaves_no_mail_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            usual = made.relay.next_hop

            async def broken(*_: object) -> object:
                raise RuntimeError("a defect")

            monkeypatch.setattr(made.relay, "next_hop", broken)
            await made.post("a@far.test")
            await made.work()
            monkeypatch.setattr(made.relay, "next_hop", usual)
            await made.post("b@far.test")
            await made.work()
            assert len(far.taken) == 2 and not made.spool.ids()


async def test_a_stop_ends_lookups_and_leaves_their_mail_in_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer({"MAIL": HANG}) as far:
        made = Office(tmp_path, {"*": far}, limits=OutboundLimits(grace_s=0.1))
        begun, over = asyncio.Event(), asyncio.Event()

        async def never(*_: object) -> object:
            begun.set()
            await over.wait()
            return "far"

        monkeypatch.setattr(made.relay, "next_hop", never)
        item = await made.post("a@far.test")
        await made.passes.run_once()
        await begun.wait()
        await made.close()
        again = Office(tmp_path, {"*": far})
        far.answers = {}
        await again.work()
        assert len(far.taken) == 1 and again.open(item) == {}
        await again.close()


async def test_t_q_16_servers_that_were_silent_and_answer_all_at_once_get_no_more_connections_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = OutboundLimits(connections=2, connections_per_domain=1, patience_s=0.01)
    answer = threading.Event()

    def late(_: Peer) -> bytes:
        answer.wait(30)
        return OK

    with contextlib.ExitStack() as stack:
        slow = {f"slow{n}.test": stack.enter_context(peer({"MAIL": late}, address=f"127.0.1.{n + 1}")) for n in range(10)}
        async with office(tmp_path, slow, limits=limits) as made:
            for domain in slow:
                for _ in range(5):
                    await made.post(f"a@{domain}")
            most, start = 0, made.manager._start

            def count() -> None:
                nonlocal most
                most = max(most, made.manager._places[Kind.ANSWERING].taken)
                start()

            monkeypatch.setattr(made.manager, "_start", count)
            await made.passes.run_once()
            for far in slow.values():
                await asyncio.to_thread(far.wait, lambda far=far: "MAIL" in far.verbs())  # type: ignore[misc]
            answer.set()
            async with asyncio.timeout(30):
                await made.manager.idle()
            assert most == 2 and not made.spool.ids()
            assert all(len(far.taken) == 5 for far in slow.values())


async def test_t_q_17_while_next_hops_are_looked_up_the_items_of_a_long_queue_stay_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "MOST_ITEMS", 5)
    found = asyncio.Event()
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            next_hop = made.relay.next_hop

            async def slow(*way: object) -> object:
                await found.wait()
                return await next_hop(*way)  # type: ignore[arg-type]

            monkeypatch.setattr(made.relay, "next_hop", slow)
            ids = {(await made.post(f"a@domain{n}.test")).id for n in range(30)}
            for _ in range(2):  # the second one finds nothing, and nothing is left of what the first one has read
                await made.passes.run_once()
            gc.collect()
            assert sum(isinstance(one, QueueItem) and one.id in ids for one in gc.get_objects()) <= 5
            found.set()
            await made.manager.idle()
            assert len(far.taken) == 30


@pytest.mark.parametrize("why", ["refused", "silent", "turned away", "a plugin failed", "later"])
async def test_t_q_17_no_failed_attempt_leaves_its_message_in_memory_until_garbage_is_collected(tmp_path: Path, why: str) -> None:
    connector = SmtpConnector("mail.example.org", timeouts=replace(SHORT, connect_s=0.05))
    answers = {"turned away": {"CONNECT": b"421 4.3.2 closed today\r\n"}, "later": {"DATA": b"451 4.3.0 later\r\n"}}
    with peer(answers.get(why, {})) as far, black_hole("127.0.1.1") as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ways = {"refused": Place(*closed.getsockname()), "silent": Place(*silent)}
        async with office(tmp_path, {"far.test": ways.get(why, far)}, connector=connector) as made:
            if why == "a plugin failed":
                made.rules.failing.add("far.test")
            item = await made.post("a@far.test", octets=b"Subject: is it gone?\r\n\r\n")
            gc.collect()
            gc.disable()
            try:
                await made.work()
                assert made.open(item) == {0: 1}
                assert not [one for one in gc.get_objects() if isinstance(one, OutgoingMail) and b"is it gone?" in one.octets]
            finally:
                gc.enable()


async def test_t_q_17_large_messages_are_in_memory_as_far_as_there_is_room_and_keep_no_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ROOM_OCTETS", 45_000)  # of which one sender has half
    monkeypatch.setattr(attempts, "SMALL_OCTETS", 1_000)
    large = b"Subject: large\r\n\r\n" + b"x" * 10_000 + b"\r\n"
    limits = OutboundLimits(connections=3, patience_s=0.01, grace_s=0.01)
    answer = threading.Event()

    def late(_: Peer) -> bytes:
        answer.wait(30)
        return OK

    with contextlib.ExitStack() as stack:
        slow = {f"slow{n}.test": stack.enter_context(peer({"MAIL": late}, address=f"127.0.1.{n + 1}")) for n in range(8)}
        good = stack.enter_context(peer())
        async with office(tmp_path, {**slow, "*": good}, limits=limits) as made:
            items = [await made.post(f"a@{domain}", octets=large) for domain in slow]
            await made.passes.run_once()
            small = [await made.post(f"a@good{n}.test") for n in range(5)]
            await made.passes.run_once()
            await asyncio.to_thread(good.wait_for, 5)
            assert sum(item.size_octets for item in small) < 1_000
            states = [made.spool.open_recipients(item.id)[0] for item in items]
            assert sum(not state.waiting for state in states) == 2
            answer.set()
            async with asyncio.timeout(30):
                await made.manager.idle()
            assert all(len(far.taken) == 1 for far in slow.values())
            assert not made.spool.ids()


async def test_t_q_16_large_mail_of_one_sender_to_slow_hosts_leaves_room_for_that_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ROOM_OCTETS", 45_000)
    monkeypatch.setattr(attempts, "SMALL_OCTETS", 1_000)
    large = b"Subject: large\r\n\r\n" + b"x" * 10_000 + b"\r\n"
    limits = OutboundLimits(connections=10, patience_s=0.01, grace_s=0.01)
    answer = threading.Event()

    def late(_: Peer) -> bytes:
        answer.wait(30)
        return OK

    with contextlib.ExitStack() as stack:
        slow = {f"slow{n}.test": stack.enter_context(peer({"MAIL": late}, address=f"127.0.1.{n + 1}")) for n in range(8)}
        good = stack.enter_context(peer())
        async with office(tmp_path, {**slow, "*": good}, limits=limits) as made:
            for domain in slow:
                await made.post(f"a@{domain}", octets=large, user="slow@example.org")
            await made.passes.run_once()
            await made.post("a@good.test", octets=large)
            await made.passes.run_once()
            await asyncio.to_thread(good.wait_for, 1)
            assert not any(far.taken for far in slow.values())
            answer.set()
            async with asyncio.timeout(60):
                await made.manager.idle()
            assert all(len(far.taken) == 1 for far in slow.values())


async def test_what_waits_for_room_when_the_server_stops_is_left_to_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ROOM_OCTETS", 10)
    monkeypatch.setattr(attempts, "SMALL_OCTETS", 0)
    with peer({"MAIL": HANG}) as one, peer({"MAIL": HANG}) as other:
        async with office(tmp_path, {"one.test": one, "other.test": other}, limits=OutboundLimits(grace_s=0.01)) as made:
            items = [await made.post("a@one.test"), await made.post("a@other.test")]
            await made.passes.run_once()
            await asyncio.to_thread(one.wait, lambda: "MAIL" in one.verbs())
            await made.manager.stop()
            flush(made.spool)
            assert [made.open(item) for item in items] == [{0: 1}, {0: 0}] and not other.lines


async def test_t_q_16_a_domain_that_led_elsewhere_a_moment_ago_takes_nobody_down_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its MX named somebody else's host, so its mail stands in that host's lane; now it names one that refuses connections."""
    with peer() as far:
        async with office(tmp_path, {"far.test": far, "evil.test": Place("127.0.9.9", 1)}) as made:
            found = made.relay.next_hop

            async def stale(domain: str, via: object = None) -> object:
                return await found("far.test" if domain == "evil.test" else domain)

            monkeypatch.setattr(made.relay, "next_hop", stale)
            evil = await made.post("a@evil.test")
            good = [await made.post("a@far.test") for _ in range(5)]
            await made.work()
            assert len(far.taken) == 5 and all(made.open(item) == {} for item in good)
            assert made.open(evil) == {0: 1}


class FewToANetwork(SmtpConnector):
    """Counts all hosts as those that DNS named. asked: the ports for which there was to be a connection."""

    def __init__(self) -> None:
        super().__init__("mail.example.org", timeouts=SHORT, crowd=Crowd(1))
        self.asked: list[int] = []
        self._more = asyncio.Event()

    async def wait_for(self, port: int, times: int) -> None:
        async with asyncio.timeout(30):
            while self.asked.count(port) < times:
                self._more.clear()
                await self._more.wait()

    async def connect(self, target: Target, domain: str, requirement: TlsRequirement) -> SmtpHop:
        self.asked.append(target.port)
        self._more.set()
        return await super().connect(replace(target, is_routed=False), domain, requirement)


@contextlib.asynccontextmanager
async def crowded(folder: Path, limits: OutboundLimits) -> AsyncIterator[tuple[Office, FewToANetwork, Peer, Callable[[], None]]]:
    """One message takes the only connection to the network, until what comes last is called. The peer is another host there."""
    answer = threading.Event()

    def late(_: Peer) -> bytes:
        answer.wait(30)
        return OK

    with peer({"MAIL": late}) as busy, peer() as far:
        connector = FewToANetwork()
        try:
            async with office(folder, {"busy.test": busy, "*": far}, limits=limits, connector=connector) as made:
                await made.post("a@busy.test")
                await made.passes.run_once()
                await asyncio.to_thread(busy.wait, lambda: "MAIL" in busy.verbs())
                yield made, connector, far, answer.set
        finally:
            answer.set()


async def test_t_q_16_mail_that_our_own_limit_on_a_network_keeps_back_waits_and_has_not_failed(tmp_path: Path) -> None:
    """Decision 0020: nobody was asked, so nobody is down, and nothing counts toward giving up."""
    async with crowded(tmp_path, OutboundLimits(crowded_s=0.2)) as (made, connector, far, leave):
        items = [await made.post(f"a@far{n}.test") for n in range(5)]
        await made.passes.run_once()
        await connector.wait_for(far.port, 2)
        assert all(made.open(item) == {0: 0} for item in items) and not far.connections
        leave()
        late = await made.post("late@far.test")
        await made.work()
        assert len(far.taken) == 6 and not made.spool.ids()
        assert all(event.startswith("relayed") for item in (*items, late) for event in made.events(item))
        assert len(made.attempts) == 7  # of those that nobody was asked in no plugin hears


async def test_t_q_16_a_network_that_stays_full_is_told_as_what_it_is_and_its_hosts_are_not_left_alone(tmp_path: Path) -> None:
    async with crowded(tmp_path, OutboundLimits(crowded_s=0.0)) as (made, connector, far, leave):
        item = await made.post("a@far.test")
        await made.passes.run_once()
        await connector.wait_for(far.port, outbound.MOST_CROWDED_OUT + 1)
        leave()
        await made.manager.idle()
        assert connector.asked.count(far.port) == outbound.MOST_CROWDED_OUT + 1 and made.open(item) == {0: 1}
        (event,) = made.events(item)
        assert "1 connections to its network are open already" in event
        other = await made.post("other@far.test")
        await made.work()
        assert made.open(other) == {} and made.open(item) == {0: 1}


async def test_what_our_own_limit_keeps_back_when_the_server_stops_is_left_to_the_next_start(tmp_path: Path) -> None:
    limits = OutboundLimits(crowded_s=600, grace_s=0.01)
    async with crowded(tmp_path, limits) as (made, connector, far, leave):
        items = [await made.post("a@far.test") for _ in range(3)]
        await made.passes.run_once()
        await connector.wait_for(far.port, 1)
        leave()
        await made.close()
        again = Office(tmp_path, {"*": far})
        again.agenda.adopt()
        states = [state for item in items for state in again.spool.open_recipients(item.id).values()]
        assert len(states) == 3 and all(state.begun == 0 for state in states)
        await again.work()
        assert sum(taken.forward_paths == ("a@far.test",) for taken in far.taken) == 3 and not again.spool.ids()
        await again.close()
