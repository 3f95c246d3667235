"""Several processes take mail: limits hold for all of them together, and one that is killed leaves nothing counted."""

import contextlib
import os
import signal
import smtplib
import socket
from pathlib import Path

from support.server import Server, server
from support.smtp_service import read_reply, trusting

POLICY = "version: 1\nplugins: {}\n"


def connect(target: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", target.port("mx")), timeout=20)


def sockets_of(pid: int) -> set[str]:
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.add(str(descriptor.readlink()))
    return {link for link in links if link.startswith("socket:")}


def test_t_dos_02_places_of_an_address_are_counted_over_all_processes_and_free_when_one_is_killed() -> None:
    with server(policy=POLICY, start=False) as target, contextlib.ExitStack() as stack:
        target.config.write_text(
            target.config.read_text()
            + "processes: {smtp: 3}\nlimits: {connections_per_address: 12, connections_per_network: 99}\n"
        )
        target.start()
        pids = target.worker_pids("smtp")
        assert len(pids) == 3
        idle = {pid: len(sockets_of(pid)) for pid in pids}

        def crowd() -> list[str]:
            clients = [stack.enter_context(connect(target)) for _ in range(30)]
            return [read_reply(client)[:3] for client in clients]

        probed = target.numbers().get(("mailward_connections_total", "smtp"), 0)
        greetings = crowd()
        assert greetings.count("220") == 12 and greetings.count("421") == 18
        target.until(lambda: sum(len(sockets_of(pid)) - idle[pid] for pid in pids) == 12)  # those refused are gone
        held = {pid: len(sockets_of(pid)) - idle[pid] for pid in pids}
        victim = max(pids, key=lambda pid: held[pid])
        os.kill(victim, signal.SIGKILL)
        target.until(lambda: len(target.worker_pids("smtp")) == 4)
        target.until(lambda: target.log_octets().count(b'event="worker ready" role=smtp') == 4)
        greetings = crowd()
        assert greetings.count("220") == held[victim], "as many as were open in the killed one"
        numbers = target.numbers()
        assert numbers["mailward_connections_open", "smtp"] == 12
        assert numbers["mailward_connections_total", "smtp"] == probed + 12 + held[victim]
        assert numbers["mailward_connections_refused_total", "connections_per_address", "smtp"] == 60 - 12 - held[victim]
        assert numbers["mailward_workers_ended_total", "smtp"] == 1


def test_t_dos_03_messages_of_an_account_are_counted_over_all_processes() -> None:
    with server(policy=POLICY, start=False) as target:
        target.config.write_text(target.config.read_text() + "processes: {smtp: 3}\nlimits: {account_messages_per_hour: 10}\n")
        target.start()
        codes = []
        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(6):  # open at once, so that no process takes them all
                client = smtplib.SMTP_SSL("127.0.0.1", target.port("submissions"), context=trusting(), timeout=60)
                stack.callback(client.close)
                client.login(target.demo, target.password(target.demo))
                clients.append(client)
            for client in clients * 3:
                client.rset()
                codes.append(client.mail(target.demo)[0])
        assert codes == [250] * 10 + [450] * 8

        # What a script sends counts, too, though another process sends it (T-IMAP-20).
        target.add_account("bob@example.test")
        target.run("sieve", "put", target.demo, "main", "-", "--activate", stdin='redirect "bob@example.test";')
        assert target.send(b"Subject: lunch\r\n\r\nat one\r\n")[0] == 250
        target.wait_for(1)
        reason = "not redirected to bob@example.test, since demo@example.test has sent the 10 messages"
        target.until(lambda: reason in target.explain())
