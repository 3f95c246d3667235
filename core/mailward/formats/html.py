"""What text would a person see in this HTML, and where could it lead?

The parser is quadratic in nesting depth (100,000 nested elements take 25 s) and in the attributes of one element, so both and
the size are bounded before it runs;
past the bounds the tags are cut out by a linear pattern, so that no text and no link escapes a filter. One tree gives both
results: each link is marked in the tree, and its text lies between its marks in the text of the whole.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import chain, islice

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailward.formats.budgets import HTML_CHARACTERS, HTML_DEPTH, LINK_TEXT_CHARACTERS, LINKS
from mailward.formats.links import Link, LinkKind, base_of, resolved

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)[^>]*+>?")
_MANY_ATTRIBUTES = re.compile(
    r"""<[a-zA-Z][^\s/>]*+(?:[\s/=]*+(?:"[^"]*+"|"(?![^"]*+")|'[^']*+'|'(?![^']*+')|[^\s/=>"']++)){200}"""
)
"""A start tag with more names and values than honest mail has in one. Each can be taken in one way only, so this is linear."""
_MARKUP = re.compile(r"<(?:!--.*?(?:-->|\Z)|[^>]*+>?)", re.DOTALL)
_LEADING = re.compile(
    r"""\b(href|src|action|formaction|background|data|poster)\s*=\s*("[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)""", re.IGNORECASE
)
"""An attribute that leads somewhere, in HTML that is not parsed."""
_VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
_SELF_ENDING = frozenset(("p", "li", "td", "th", "tr", "option", "dt", "dd"))
"""Elements whose end tag is often left out; one directly inside its like ends that."""
_FORMATTING = frozenset(("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"))
"""Elements that the parser opens again after an end tag of another has closed them, which is quadratic in their number."""
_UNSEEN = "script,style,title,template,head"
"""Not noscript: no mail client runs scripts, so what is in it is seen."""
_BLOCKS = (
    "address,article,aside,blockquote,br,dd,div,dl,dt,footer,form,h1,h2,h3,h4,h5,h6,header,hr,li,main,nav,ol,option,p,pre,section,"
    "table,td,th,tr,ul"
)
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r" ?\n[ \n]*")

_LOADS = "meta[http-equiv],[src],[srcset],[poster],[background],object[data],link[href],image,use,[style*='url(' i],style"
_RAW = "title,textarea,noframes,noembed,iframe,xmp,plaintext,style,script"
"""What stands in these is text to a browser, and markup to a client that only drops such tags."""
_CONDITIONAL = re.compile(r"<!--\[if\b[^>]{0,200}>(.*?)(?:<!\[endif\]|\Z)", re.IGNORECASE | re.DOTALL)
"""A comment that Outlook reads."""
_REFRESH = re.compile(r"\s*+[\d.]*+\s*+[;,]?\s*+(?:url\s*+=\s*+)?(\S.*)", re.IGNORECASE | re.DOTALL)
_CANDIDATE = re.compile(r"[\s,]*+(\S*[^\s,])(?:,+|\s[^,]*+|$)")
"""One image of a srcset that does not end in commas or blanks: its address, then its size."""
_STYLE_URL = re.compile(r"""\burl\(\s*["']?([^"')\s]+)|@import\s+["']([^"']+)""", re.IGNORECASE)

# No text of a tree holds NUL: the parser makes U+FFFD of it, however it is written, and raw ones are taken out before.
_MARK = re.compile("\0(.)", re.DOTALL)
_LINK_OPENS, _LINK_ENDS, _UNSEEN_OPENS, _UNSEEN_ENDS = "\0<", "\0>", "\0(", "\0)"


@dataclass(frozen=True, slots=True)
class Html:
    """text: one line a block, blanks collapsed, scripts and styles left out. links: each once, at most LINKS and one more.

    First among the links is what a person could follow, then what is loaded; each in order.
    """

    text: str
    links: tuple[Link, ...]


def read_html(html: str) -> Html:
    """The text and the links of HTML. Never raises."""
    html = html[:HTML_CHARACTERS].replace("\0", "")
    if _is_bounded(html):
        tree = LexborHTMLParser(html)
        veiled = list(_veiled_links(tree, html))  # before marks are put into the tree
        text, seen = _read_tree(tree)
        found = [*seen, *veiled]
    else:
        text, found = unescape(_MARKUP.sub(" ", html)), list(_links_of_markup(html))
    links = tuple(islice(dict.fromkeys(link for link in found if link.url and link.url[0] != "#"), LINKS + 1))
    return Html(_tidy(text), links)


def _is_bounded(html: str) -> bool:
    """Whether elements are nested, and have attributes, no more than the parser can bear: it is quadratic in both."""
    return _depth_is_bounded(html) and _MANY_ATTRIBUTES.search(html) is None


def _depth_is_bounded(html: str) -> bool:
    if html.count("<") <= HTML_DEPTH:
        return True
    open_names: list[str] = []
    counts: Counter[str] = Counter()
    reopened = 0
    for found in _TAG.finditer(html):
        name = found.group(2).lower()
        if name in _VOID:
            continue
        if not found.group(1):
            if name in _SELF_ENDING and open_names and open_names[-1] == name:
                continue  # it ends its like and takes its place
            open_names.append(name)
            counts[name] += 1
            if len(open_names) > HTML_DEPTH:
                return False
        elif counts[name]:  # an end tag of nothing open closes nothing
            while (closed := open_names.pop()) != name:
                counts[closed] -= 1
                reopened += closed in _FORMATTING
            counts[name] -= 1
            if reopened > HTML_DEPTH:
                return False
    return True


def _read_tree(tree: LexborHTMLParser) -> tuple[str, Iterator[Link]]:
    base = base_of(_attributes(tree.css_first("base[href]")).get("href", ""))
    loaded = [Link(resolved(url, base), "", kind) for kind, url in _loads(tree)]
    body = tree.body
    if body is None:
        return "", iter(loaded)
    # Nothing is taken out of the tree: an element inside one that is gone is memory that is free.
    for node in body.css(_UNSEEN):
        node.insert_before(_UNSEEN_OPENS)
        node.insert_after(_UNSEEN_ENDS)
    for node in body.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    for node in body.css("img[alt]"):
        # Images of strangers are not shown until a person asks for them; this is.
        node.insert_before(f" {_attributes(node)['alt']} ")
    leads = list(_leads(body))
    text, texts = _seen(body.text())
    found = [
        Link(resolved(url, base), _one_line(shown if place is None else texts[place]), kind) for kind, url, shown, place in leads
    ]
    return text, chain(found, loaded)


def _leads(body: LexborNode) -> Iterator[tuple[LinkKind, str, str, int | None]]:
    """What a person could follow: kind, address, and the text that is seen or its number among the texts between marks."""
    marked = 0
    for node in body.css("a,area,form[action],button[formaction],input[formaction]"):
        attributes, tag = _attributes(node), node.tag
        if tag in ("a", "button"):
            url = attributes.get("formaction" if tag == "button" else "href") or attributes.get("xlink:href", "")
            if url:
                node.insert_before(_LINK_OPENS)
                node.insert_after(_LINK_ENDS)
                yield "followed" if tag == "a" else "submitted", url, "", marked
                marked += 1
        elif tag == "area":
            yield "followed", attributes.get("href", ""), attributes.get("alt", ""), None
        else:
            yield "submitted", attributes.get("formaction" if tag == "input" else "action", ""), attributes.get("value", ""), None


def _loads(tree: LexborHTMLParser) -> Iterator[tuple[LinkKind, str]]:
    """What leads somewhere or is fetched without a click."""
    for node in tree.css(_LOADS):
        attributes, tag = _attributes(node), node.tag
        if tag == "meta":
            refresh = _REFRESH.match(attributes.get("content", ""))
            if refresh and attributes.get("http-equiv", "").strip().lower() == "refresh":
                yield "refreshed", refresh.group(1).strip().strip("\"'")
        urls = [attributes.get(name, "") for name in ("src", "poster", "background")]
        if tag in ("link", "image", "use"):
            urls += [attributes.get("href", ""), attributes.get("xlink:href", "")]
        if tag == "object":
            urls.append(attributes.get("data", ""))
        urls += _CANDIDATE.findall(attributes.get("srcset", "").strip(", \t\r\n\f"))
        style = attributes.get("style", "") + (node.text() if tag == "style" else "")
        urls += [url or name for url, name in _STYLE_URL.findall(style)]
        yield from (("loaded", url) for url in urls if url)


def _attributes(node: LexborNode | None) -> dict[str, str]:
    return {name: value or "" for name, value in node.attributes.items()} if node is not None else {}


def _seen(marked: str) -> tuple[str, list[str]]:
    """The text without marks and what they hide, and the text of each link in the order in which they open."""
    seen: list[str] = []
    spans: list[tuple[int, int]] = []
    open_links: list[int] = []
    length = hidden = 0
    pieces = _MARK.split(marked)
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            if not hidden:
                seen.append(piece)
                length += len(piece)
        elif piece == "<":
            open_links.append(len(spans))
            spans.append((length, length))
        elif piece == ">":
            number = open_links.pop()
            spans[number] = spans[number][0], length
        else:
            hidden += 1 if piece == "(" else -1
    text = "".join(seen)
    return text, [text[start : min(end, start + 4 * LINK_TEXT_CHARACTERS)] for start, end in spans]


def _veiled_links(tree: LexborHTMLParser, html: str) -> Iterator[Link]:
    """The links of markup that only some clients take for markup."""
    raw = [node.text() for node in tree.css(_RAW)]
    templates = [node.html or "" for node in tree.css("template")]
    conditional = [found.group(1) for found in _CONDITIONAL.finditer(html)]
    # Nothing in a frameset but frames is in the tree.
    whole = [html] if tree.css_first("frameset") is not None else []
    for markup in (*raw, *templates, *conditional, *whole):
        yield from _links_of_markup(markup)


def _links_of_markup(html: str) -> Iterator[Link]:
    for found in _LEADING.finditer(html):
        kind: LinkKind = "followed" if found.group(1).lower() == "href" else "loaded"
        value = found.group(2)
        yield Link(resolved(unescape(value[1:-1] if value[0] in "\"'" else value)), "", kind)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LINK_TEXT_CHARACTERS]


def _tidy(text: str) -> str:
    return _LINES.sub("\n", _BLANKS.sub(" ", text)).strip()
