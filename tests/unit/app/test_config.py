"""mailward.yaml: every mistake with its place, all of them at once."""

import re
from pathlib import Path

import pytest

from mailward.app.config_file import find_config, load_config
from mailward.delivery.static_hop import Login, StaticHop
from mailward.model.errors import ConfigError, PolicyError
from mailward.model.tls import TlsLevel

GOOD = """\
version: 1
hostname: MX.Example.test
tls: {certificate: c.pem, key: k.pem}
dns: {servers: ["127.0.0.1:5300", "[::1]:53"]}
listeners:
  mx: {protocol: smtp, address: "127.0.0.1", port: 2025}
  imaps: {protocol: imap, address: "::1", port: 2993, tls: implicit}
routes: {Load.example.test: discard, example.net: "smtp:[192.0.2.7]:2525", "*": "smtp:relay.example.net"}
relay_domains: [Load.example.test]
outbound: {give_up_after: 1.5d, source: [192.0.2.9]}
limits: {connections: 7}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.pem").write_text("c")
    (tmp_path / "k.pem").write_text("k")
    return tmp_path


def _problems(folder: Path, text: str) -> list[str]:
    path = folder / "mailward.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_config(path)
    return [str(p).replace(f"{folder}/", "") for p in caught.value.problems]


def test_a_whole_configuration(folder: Path) -> None:
    path = folder / "mailward.yaml"
    path.write_text(GOOD)
    config = load_config(path)
    assert config.hostname == "mx.example.test"
    assert config.dns_servers == (("127.0.0.1", 5300), ("::1", 53))
    assert [(x.name, x.protocol, x.port, x.tls) for x in config.listeners] == [
        ("mx", "smtp", 2025, "starttls"),
        ("imaps", "imap", 2993, "implicit"),
    ]
    assert config.routes == {
        "load.example.test": None,
        "example.net": StaticHop("192.0.2.7", 2525),
        "*": StaticHop("relay.example.net", 25),
    }
    assert config.relay_domains == {"load.example.test"} == config.discarded_domains
    assert (config.outbound.limits.give_up_after_s, config.outbound.source) == (129600, ("192.0.2.9",))
    assert config.limits.connections == 7
    assert config.data == folder / "data"


def test_what_becomes_of_mail_that_pop3_clients_fetch(folder: Path) -> None:
    path = folder / "mailward.yaml"
    path.write_text(GOOD)
    assert load_config(path).pop3_retrieved == "seen"
    path.write_text(GOOD + "pop3_retrieved: unchanged\n")
    assert load_config(path).pop3_retrieved == "unchanged"
    path.write_text(GOOD + "pop3_retrieved: unseen\n")
    with pytest.raises(PolicyError, match="pop3_retrieved"):
        load_config(path)


def test_what_users_may_do_in_the_quarantine(folder: Path) -> None:
    path = folder / "mailward.yaml"
    path.write_text(GOOD)
    usual = load_config(path).quarantine
    assert (usual.kept_s, usual.users_release.causes, usual.digest_hour) == (30 * 86400, frozenset(), None)
    path.write_text(GOOD + "quarantine: {keep: 90d, users_release: [limits, rule:odd, 'plugin:dmarc'], digest: daily}\n")
    config = load_config(path).quarantine
    assert (config.kept_s, sorted(config.users_release.causes)) == (90 * 86400, ["limits", "plugin:dmarc", "rule:odd"])
    assert config.digest_hour == 7
    path.write_text(GOOD + "quarantine: {digest: off, digest_hour: 5}\n")
    assert load_config(path).quarantine.digest_hour is None


def test_how_long_expunged_mail_is_kept(folder: Path) -> None:
    path = folder / "mailward.yaml"
    path.write_text(GOOD)
    assert load_config(path).expunged_kept_s == 7 * 86400
    path.write_text(GOOD + "expunged: {keep: 1d}\n")
    assert load_config(path).expunged_kept_s == 86400
    said = _problems(folder, GOOD + "expunged: {keep: 1h}")
    assert [text.partition("  ")[2] for text in said] == ["expunged.keep: mail is kept for a day at least\n    keep: 7d"]


def test_the_script_that_imap_commands_meet(folder: Path) -> None:
    path, script = folder / "mailward.yaml", folder / "imap.sieve"
    path.write_text(GOOD + "imapsieve: {script: imap.sieve, causes: [append, copy]}\n")
    script.write_text('require "imapsieve"; keep;')
    found = load_config(path).imapsieve
    assert found is not None and (found.path, found.causes) == (script, frozenset({"APPEND", "COPY"}))
    path.write_text(GOOD + "imapsieve: {script: imap.sieve}\n")
    found = load_config(path).imapsieve
    assert found is not None and found.causes == {"APPEND", "COPY", "FLAG"}


def test_the_lists_that_scripts_may_ask(folder: Path) -> None:
    path = folder / "mailward.yaml"
    path.write_text(GOOD + "sieve_lists: {'tag:example.org,2026:partners': partners, ':addrbook:default': staff}\n")
    assert load_config(path).sieve_lists == {
        "tag:example.org,2026:partners": "partners",
        "urn:ietf:params:sieve:addrbook:default": "staff",
    }
    assert _problems(folder, GOOD + "sieve_lists: {partners: partners, 'tag:a': [b]}\n") == [
        "mailward.yaml:12:25  sieve_lists: 'partners' is no URI of a list\n    Write one such as tag:example.org,2026:partners.",
        "mailward.yaml:12:44  sieve_lists.tag:a: the name of a list that mailward list keeps was expected",
    ]


def test_a_script_with_mistakes_is_no_configuration(folder: Path) -> None:
    (folder / "imap.sieve").write_text('require ["vacation", "imapsieve"];\nvacation "away";\nif envelope "to" "a" { keep; }\n')
    said = _problems(folder, GOOD + "imapsieve: {script: imap.sieve, causes: [move]}\n")
    assert said == [
        "mailward.yaml:12:42  imapsieve.causes: 'move' is no cause\n    Write append, copy, flag.",
        "imap.sieve:1:9  imapsieve.script: unknown extension 'vacation'",
        "imap.sieve:2:1  imapsieve.script: unknown command 'vacation'",
        "imap.sieve:3:4  imapsieve.script: unknown test 'envelope'",
    ]
    said = _problems(folder, GOOD + "imapsieve: {script: gone.sieve}\n")
    assert said == ["mailward.yaml:12:21  imapsieve.script: cannot read gone.sieve: No such file or directory"]
    assert "script" in _problems(folder, GOOD + "imapsieve: {causes: [copy]}\n")[0]


def test_wrong_words_about_the_quarantine(folder: Path) -> None:
    said = _problems(
        folder, GOOD + "quarantine: {keep: 1h, users_release: [limit, 'rule:', rule:a], digest: weekly, digest_hour: 24}"
    )
    assert [text.partition("  ")[2] for text in said] == [
        "quarantine.keep: mail is kept for a day at least\n    keep: 30d",
        "digest_hour: a whole number from 0 to 23 was expected",
        "digest: one of daily, off was expected",
        "quarantine.users_release: 'limit' says nothing that mail is kept by\n    Write limits, rule:NAME or plugin:NAME.",
        "quarantine.users_release: 'rule:' says nothing that mail is kept by\n    Write limits, rule:NAME or plugin:NAME.",
    ]


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("hostname: MX.Example.test", "hostnam: x.test", "mailward.yaml:2:1  hostnam: no such key\n    Did you mean 'hostname'?"),
        ("version: 1", "version: 2", "mailward.yaml:1:10  version: this release reads version 1"),
        (
            "port: 2025",
            "port: 2025, greet_delay: 31s",
            "mailward.yaml:6:71  listeners.mx.greet_delay: only smtp listeners may greet late, by 30 s at most",
        ),
        (
            "tls: implicit",
            "tls: implicit, greet_delay: 2s",
            "mailward.yaml:7:83  listeners.imaps.greet_delay: only smtp listeners may greet late, by 30 s at most",
        ),
        ("port: 2025", "port: 99999", "mailward.yaml:6:52  port: a whole number from 1 to 65535 was expected"),
        (
            "tls: implicit",
            "tls: implict",
            "mailward.yaml:7:60  tls: one of none, starttls, implicit was expected\n    Did you mean 'implicit'?",
        ),
        (
            'protocol: imap, address: "::1", port: 2993, tls: implicit',
            "protocol: submission, port: 2993, tls: none",
            "mailward.yaml:7:50  listeners.imaps.tls: nobody could log in without TLS\n    Write starttls or implicit.",
        ),
        (
            "discard",
            "bounce",
            "mailward.yaml:8:29  'bounce' is no next hop: smtp:HOST:PORT, lmtp:HOST:PORT or lmtp:unix:/PATH was expected",
        ),
        ('"127.0.0.1:5300"', "dns.example", "mailward.yaml:4:17  'dns.example' is no name server\n    Write"),
        ("key: k.pem", "key: other.pem", "mailward.yaml:3:32  tls.key: there is no file"),
        ("connections: 7", "connections: many", "mailward.yaml:11:23  connections: a whole number"),
    ],
)
def test_a_mistake_is_shown_with_its_place(folder: Path, wrong: str, right: str, said: str) -> None:
    found = _problems(folder, GOOD.replace(wrong, right))
    assert any(problem.startswith(said) for problem in found), found


def test_limits_as_the_page_about_abusers_writes_them(folder: Path) -> None:
    page = Path(__file__).parents[3] / "docs/how-to/keep-abusers-out.md"
    (block,) = re.findall(r"```yaml\n(limits:.*?)```", page.read_text(), re.DOTALL)
    path = folder / "mailward.yaml"
    path.write_text(GOOD.replace("limits: {connections: 7}\n", block))
    assert [str(network) for network in load_config(path).limits.exempt] == ["192.0.2.0/28", "2001:db8:5::/48"]


def test_listeners_as_the_page_about_load_balancers_writes_them(folder: Path) -> None:
    page = Path(__file__).parents[3] / "docs/how-to/behind-a-load-balancer.md"
    (block,) = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    path = folder / "mailward.yaml"
    path.write_text(re.sub(r"listeners:\n(  .*\n)+", block, GOOD))
    assert [[str(network) for network in one.proxy_from] for one in load_config(path).listeners] == [["10.0.0.2/32"]] * 2


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("{messages_per_hour: -1}", "messages_per_hour: a whole number from 0 to"),
        ("{connections: 0}", "a whole number from 1 to"),
        ("{exempt: [192.0.2.1/24]}", "'192.0.2.1/24' is no network"),
        ("{exempt: 192.0.2.0/24}", "a list was expected"),
        ("{mesages_per_hour: 1}", "Did you mean 'messages_per_hour'?"),
    ],
)
def test_mistakes_of_limits_are_told(folder: Path, limits: str, said: str) -> None:
    [problem] = _problems(folder, GOOD.replace("{connections: 7}", limits))
    assert said in problem and problem.startswith("mailward.yaml:11:")


@pytest.mark.parametrize(
    ("outbound", "said"),
    [
        ('source: ["192.0.2.9", "192.0.2.10"]', "at most one IPv4"),
        ('private_networks: ["10.0.0.1/8"]', "'10.0.0.1/8' is no network"),
        ("private_network: []", "no such key"),
    ],
)
def test_mistakes_of_outbound_are_told(folder: Path, outbound: str, said: str) -> None:
    text = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith("outbound:"))
    found = _problems(folder, f"{text}outbound: {{{outbound}}}\n")
    assert any(said in problem for problem in found), found


def test_all_mistakes_at_once(folder: Path) -> None:
    assert len(_problems(folder, GOOD.replace("port: 2025", "port: x").replace("discard", "y").replace("7}", "0}"))) == 3


def test_an_empty_file_is_a_problem_too(folder: Path) -> None:
    assert _problems(folder, "") == ["mailward.yaml:1:1  the file is empty"]


def test_the_file_is_found_by_environment_and_then_by_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mailward.yaml").write_text(GOOD)
    (folder / "run").mkdir()
    (folder / "run/mailward.yaml").write_text(GOOD)
    monkeypatch.delenv("MAILWARD_CONFIG", raising=False)
    monkeypatch.chdir(folder)
    assert find_config(None) == folder / "mailward.yaml"
    assert find_config(Path("run/mailward.yaml")) == folder / "run/mailward.yaml"
    monkeypatch.setenv("MAILWARD_CONFIG", str(folder / "run/mailward.yaml"))
    assert find_config(None) == folder / "run/mailward.yaml"
    monkeypatch.setenv("MAILWARD_CONFIG", str(folder / "absent.yaml"))
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        find_config(None)


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        ("{protocol: lmtp, port: 25}", "port: LMTP must not be on port 25"),
        ("{protocol: imap, port: 24, xclient_from: [192.0.2.0/24]}", "xclient_from: imap has no XCLIENT"),
        ("{protocol: pop3, port: 24, capabilities_off: [UIDPLUS]}", "capabilities_off: only imap listeners have it"),
        ("{protocol: imap, port: 24, capabilities_off: [IMAP4rev1]}", "capabilities_off: 'IMAP4rev1' cannot be switched off"),
        ("{protocol: smtp, socket: s}", "socket: only lmtp can listen on a unix socket"),
        ("{protocol: lmtp, socket: s, port: 24}", "port: a unix socket has none"),
        ("{protocol: lmtp, socket: s, tls: starttls}", "tls: a unix socket has none"),
        ("{protocol: lmtp, socket: s, mode: 0660}", "mode: text was expected"),
        ('{protocol: lmtp, socket: s, mode: "0999"}', "mode: '0999' is no mode"),
        ('{protocol: lmtp, port: 24, mode: "0600"}', "mode: only a unix socket has it"),
        (f"{{protocol: lmtp, socket: {'s' * 200}}}", "socket: the path is longer than 107 octets"),
    ],
)
def test_wrong_doors_for_mail_servers(folder: Path, listener: str, said: str) -> None:
    (problem,) = _problems(folder, GOOD.replace("routes:", f"  door: {listener}\nroutes:"))
    assert re.match(r"mailward\.yaml:8:\d+  listeners\.door\.", problem) or "text was expected" in problem, problem
    assert said in problem


def test_pages_example_of_doors_is_read(folder: Path) -> None:
    page = Path(__file__).parents[3] / "docs/how-to/behind-another-mail-server.md"
    blocks = re.findall(r"```yaml\nlisteners:\n(.*\n)(?:limits:\n.*\n)?```", page.read_text())
    path = folder / "mailward.yaml"
    path.write_text(re.sub(r"listeners:\n(  .*\n)+", "listeners:\n" + "".join(blocks), GOOD))
    first, second, third = load_config(path).listeners
    assert first.unix is not None and (first.unix.mode, first.unix.owner, str(first)) == (
        0o660,
        ":postfix",
        "/run/mailward/lmtp.sock",
    )
    assert (second.protocol, str(second), second.tls) == ("lmtp", "10.0.0.5 port 2424", "starttls")
    assert [str(network) for network in third.xclient_from] == ["10.0.0.2/32"]


def test_capabilities_that_an_imap_listener_does_not_offer(folder: Path) -> None:
    path = folder / "mailward.yaml"
    path.write_text(GOOD.replace("routes:", "  door: {protocol: imap, port: 24, capabilities_off: [qresync, ESEARCH]}\nroutes:"))
    assert load_config(path).listeners[-1].capabilities_off == {"QRESYNC", "ESEARCH"}


def test_a_smarthost_is_safe_unless_the_admin_says_otherwise(folder: Path) -> None:
    path = folder / "mailward.yaml"
    host = "host: Smtp.Provider.example, user: me@provider.example, password: provider"
    path.write_text(
        GOOD.replace('"*": "smtp:relay.example.net"', f'"*": {{{host}}}, a.example: {{host: "[::1]", tls: implicit}}')
    )
    routes = load_config(path).routes
    assert routes["*"] == StaticHop(
        "smtp.provider.example", 587, level=TlsLevel.VERIFIED, login=Login("me@provider.example", "provider")
    )
    assert routes["a.example"] == StaticHop("::1", 465, is_implicit=True, level=TlsLevel.REQUIRED)


def test_a_route_by_lmtp_is_on_port_24_or_a_socket(folder: Path) -> None:
    path = folder / "mailward.yaml"
    ways = '"lmtp:unix:/run/dovecot/lmtp", a.example: {host: store.example, protocol: lmtp, level: verified}'
    path.write_text(GOOD.replace('"smtp:relay.example.net"', ways))
    routes = load_config(path).routes
    assert routes["*"] == StaticHop("/run/dovecot/lmtp", 0, is_lmtp=True)
    assert routes["a.example"] == StaticHop("store.example", 24, level=TlsLevel.VERIFIED, is_lmtp=True)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("{host: h.example, user: me, password: p, level: opportunistic}", "no login goes in clear"),
        ("{host: h.example, tls: implicit, level: opportunistic}", "no login goes in clear"),
        ("{host: h.example, user: me}", "user and password go together"),
        ("{host: h.example, password: p}", "user and password go together"),
        ("{user: me, password: p}", "the key 'host' is missing"),
        ("{host: 'a b'}", "a name or an address was expected"),
        ("{host: h.example, tls: none}", "one of starttls, implicit was expected"),
        ("{host: h.example, prot: 1}", "Did you mean 'port'?"),
        ("{host: h.example, source: [192.0.2.1, 192.0.2.2]}", "at most one IPv4 and one IPv6"),
        ("smtps:h.example", "A route is discard, smtp:HOST:PORT, lmtp:HOST:PORT or lmtp:unix:/PATH, or a mapping"),
        ('"lmtp:[192.0.2.1]:25"', "LMTP must not be on port 25 (RFC 2033 section 5)"),
        ("{host: h.example, protocol: lmtp, port: 25}", "LMTP must not be on port 25 (RFC 2033 section 5)"),
        ("{host: h.example, protocol: imap}", "one of smtp, lmtp was expected"),
    ],
)
def test_a_route_that_could_not_work_is_said(folder: Path, route: str, said: str) -> None:
    problems = _problems(folder, GOOD.replace('"smtp:relay.example.net"', route))
    assert len(problems) == 1 and said in problems[0], problems
