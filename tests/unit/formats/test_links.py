"""Where a text leads, as browsers and mail clients read addresses (T-HDR-14, T-HDR-24)."""

import time

import pytest

from mailward.formats.budgets import URL_CHARACTERS
from mailward.formats.links import Link, canonical_host, list_links, resolved, written_links


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        (" \x01HTTPS:/\n/e.exa\tmple/p ", "", "https://e.example/p"),
        ("https:\\\\e.example\\p?a\\b#c\\d", "", "https://e.example/p?a\\b#c\\d"),
        ("http:e.example", "", "http://e.example"),
        ("https:////e.example/", "", "https://e.example/"),
        ("\\\\e.example\\share", "", "//e.example/share"),
        ("/\\e.example/x", "https://f.example/y", "https://e.example/x"),
        ("../z", "https://f.example/a/b/c", "https://f.example/a/z"),
        ("Java\tScript:alert(1)", "https://f.example/", "javascript:alert(1)"),
        ("data:text/html;base64,AA\\", "", "data:text/html;base64,AA\\"),
        ("x", "", "x"),
        ("x ;", "https://f.example/", "https://f.example/x"),
        ("//[", "https://f.example/", "https://["),
        ("[x]:", "https://[", "[x]:"),
        ("https://e.example/" + "x" * 9000, "", ("https://e.example/" + "x" * 9000)[:URL_CHARACTERS]),
    ],
)
def test_addresses_are_read_as_browsers_read_them(url: str, base: str, expected: str) -> None:
    assert resolved(url, base) == expected


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://bank.example@evil.example:8443/x@y", "evil.example"),
        ("https://E%78ample.COM./", "example.com"),
        ("https://p\u0430ypal.example/", "xn--pypal-4ve.example"),
        ("https://bank\uff0eexample\u3002org/", "bank.example.org"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://0177.0.0.0x1/", "127.0.0.1"),
        ("http://[::1]:80/", "[::1]"),
        ("http://089/", "089"),
        ("http://1.2.3.4.5/", "1.2.3.4.5"),
        ("http://under_score.example/", "under_score.example"),
        ("mailto:a@b@Evil.example?subject=x@y", "evil.example"),
        ("mailto:", ""),
        ("//e.example/x", "e.example"),
        ("javascript:x//y", ""),
        ("x", ""),
    ],
)
def test_t_hdr_14_the_host_has_one_spelling(url: str, host: str) -> None:
    assert Link(url).host == host


@pytest.mark.parametrize("host", ["", ".", "..", "0x", "1" * 999, "a" * 999, "\ud800", "[", "%", "0." * 400])
def test_any_host_is_read(host: str) -> None:
    assert isinstance(canonical_host(host), str)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://Bank.example/login", "bank.example"),
        ("Visit www.bank.example now", "www.bank.example"),
        (" bank.example ", "bank.example"),
        ("bank.example/a?b", "bank.example"),
        ("http:\\\\bank.example", "bank.example"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("Log in", ""),
        ("bank.example is yours", ""),
        ("", ""),
    ],
)
def test_the_host_that_a_text_names(text: str, host: str) -> None:
    assert Link("https://evil.example", text, "followed").shown_host == host


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("see https://e.example/a, and (http://e.example/b(c)).", ["https://e.example/a", "http://e.example/b(c)"]),
        ("WWW.e.example! xwww.f.example", ["http://WWW.e.example"]),
        ("<https://e.example/long\r\n  /path> <URL:ftp://e.example>", ["https://e.example/long/path", "ftp://e.example"]),
        ("mailto:a@e.example?subject=x mailto:none", ["mailto:a@e.example?subject=x"]),
        ("go to e.example/x or and/or e.g./i.e. a@b.example/c /usr/lib.d/x", ["http://e.example/x"]),
        ("\u201chttps://e.example/x\u201d \u00abhttp://e.example/y\u00bb", ["https://e.example/x", "http://e.example/y"]),
        ("texthttps://e.example/x", ["https://e.example/x"]),
        ("https://e.example/?u=http://f.example/", ["https://e.example/?u=http://f.example/"]),
        ("javascript:alert(1) data:text/html,x file:///etc", []),
        ("https://e.example https://e.example", ["https://e.example"]),
    ],
)
def test_addresses_in_plain_text(text: str, urls: list[str]) -> None:
    assert list(dict.fromkeys(link.url for link in written_links(text))) == urls


def test_a_written_link_has_its_own_text() -> None:
    assert tuple(written_links("HTTP://E.example/x.")) == (Link("http://E.example/x", "HTTP://E.example/x", "written"),)


@pytest.mark.parametrize(
    ("value", "urls", "offered"),
    [
        ("<http://127.0.0.1/..>, <mailto:x@e.example>", ["http://127.0.0.1/..", "mailto:x@e.example"], [True, True]),
        ("<javascript:alert(1)>, <data:text/html,x>", ["javascript:alert(1)", "data:text/html,x"], [False, False]),
        ("<file://e.example/x> <ms-word:ofe|u|https://e.example> <vbscript:x>", None, [False, False, False]),
        ("< https://e.example/\r\n x > (comment)", ["https://e.example/x"], [True]),
        ("<java script:x>, <>, unclosed <https://e.example", ["javascript:x", ""], [False, False]),
    ],
)
def test_t_hdr_24_only_web_and_mail_are_offered(value: str, urls: list[str] | None, offered: list[bool]) -> None:
    found = list_links(value)
    assert urls is None or [link.url for link in found] == urls
    assert [link.is_offered for link in found] == offered


@pytest.mark.parametrize(
    "unit",
    [
        "a.",
        "a-",
        "www.",
        "http://",
        "<http://",
        "<http://x \t",
        "<URL:   ",
        "mailto:",
        "mailto:a@",
        "https://x)))",
        "\u2019",
        "a.bc/d ",
        "x@",
        "a.b/",
        "wwww.w",
        "o:",
        "a.b-/x",
    ],
)
def test_hostile_text_is_read_in_linear_time(unit: str) -> None:
    def work_s(octets: int) -> float:
        text = unit * (octets // len(unit))
        begun = time.process_time()
        list(written_links(text))
        return time.process_time() - begun

    assert work_s(800_000) < 12 * max(work_s(200_000), 0.02)
