"""Texts and links on mail that others collected: nothing a simple parser finds is missed, and honest mail raises no alarm."""

from html.parser import HTMLParser

import pytest

from mailward.api import MessageView, TextPart
from mailward.formats.budgets import LINKS
from mailward.formats.links import base_of, resolved
from support.corpora import corpus, corpus_members
from support.mail import crlf

_LEADS = {"a": "href", "area": "href", "img": "src", "form": "action"}


class _SimpleParser(HTMLParser):
    """Knows tags and attributes, and nothing of what stands where."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.base = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(reversed(attrs))
        if tag == "base" and not self.base:
            self.base = base_of(attributes.get("href") or "")
        url = attributes.get(_LEADS.get(tag, "")) or ""
        if url:
            self.found.append(url)


def _missed(text: TextPart) -> tuple[int, list[str]]:
    simple = _SimpleParser(text.source)
    ours = {link.url for link in text.links}
    urls = [resolved(url, simple.base) for url in simple.found]
    return len(urls), [url for url in urls if url and url[0] != "#" and url not in ours]


@pytest.mark.parametrize(
    "parts", [("phish", "phishing_pot.tar.xz"), ("mime", "rspamd.tar.xz"), ("mime", "kde-messageviewer.tar.xz")]
)
def test_no_link_is_missed_that_a_simple_parser_finds(parts: tuple[str, ...]) -> None:
    seen, missed = 0, []
    for _, octets in sorted(corpus_members(*parts).items())[:800]:
        for text in MessageView(octets).texts():
            if text.is_html and len(text.links) < LINKS:
                number, urls = _missed(text)
                seen += number
                missed += urls
    print(f"{parts[1]}: {seen} links, {len(missed)} missed")
    # The two differ about character references that HTML does not allow.
    assert seen and len(missed) <= seen / 5000


def test_t_mime_26_phishing_in_utf_7_is_told() -> None:
    members = corpus_members("phish", "phishing_pot.tar.xz").values()
    declared = [octets for octets in members if b"charset=utf-7" in octets.lower().replace(b'"', b"")]
    assert declared and all("AMBIGUOUS_CHARSET" in MessageView(octets).anomalies for octets in declared)


@pytest.mark.parametrize("name", ["spamassassin", "csdmc2010", "modern-lists", "trec07p"])
def test_honest_mail_raises_no_alarm_about_its_texts(name: str) -> None:
    members = corpus_members("spam", f"{name}.tar.xz")
    ham = [
        row.split("\t")[0]
        for row in corpus("spam", f"{name}.index.tsv").read_text().splitlines()[1:]
        if row.split("\t")[1] == "ham"
    ]
    views = [MessageView(crlf(members[path])) for path in ham[:600]]
    alarms = [path for path, view in zip(ham, views, strict=False) if any(text.problems for text in view.texts())]
    print(f"{name}: {len(alarms)} of {len(views)}: {alarms[:5]}")
    assert len(alarms) * 500 < len(views)
