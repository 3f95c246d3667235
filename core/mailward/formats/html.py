"""What text would a person see in this HTML?

The parser is quadratic in nesting depth (100,000 nested elements take 25 s), so size and depth are bounded before it runs;
past the bounds the tags are cut out by a linear pattern, so that no text escapes a filter.
"""

import re

from selectolax.lexbor import LexborHTMLParser

MAX_CHARACTERS = 2_000_000
"""HTML after this is not read."""
MAX_DEPTH = 1000

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)[^>]*+>?")
_MARKUP = re.compile(r"<(?:!--.*?(?:-->|\Z)|[^>]*+>?)", re.DOTALL)
_VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
_UNNESTED = frozenset((*_VOID, "p", "li", "td", "th", "tr", "option", "dt", "dd"))
"""Elements that have no end tag, or whose end tag is often left out; none of them nests in itself."""
_UNSEEN = "script,style,title,template,noscript,head"
_BLOCKS = (
    "address,article,aside,blockquote,br,dd,div,dl,dt,footer,form,h1,h2,h3,h4,h5,h6,header,hr,li,main,nav,ol,option,p,pre,section,"
    "table,td,th,tr,ul"
)
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r" ?\n[ \n]*")


def html_to_text(html: str) -> str:
    """The text of HTML: one line a block, blanks collapsed, scripts and styles left out. Never raises."""
    html = html[:MAX_CHARACTERS]
    return _tidy(_seen_text(html) if _depth_is_bounded(html) else _MARKUP.sub(" ", html))


def _depth_is_bounded(html: str) -> bool:
    if html.count("<") <= MAX_DEPTH:
        return True
    depth = 0
    for found in _TAG.finditer(html):
        if found.group(2).lower() not in _UNNESTED:
            depth = max(depth - 1, 0) if found.group(1) else depth + 1
            if depth > MAX_DEPTH:
                return False
    return True


def _seen_text(html: str) -> str:
    tree = LexborHTMLParser(html.replace("\0", ""))
    if tree.body is None:
        return ""
    for node in tree.body.css(_UNSEEN):
        node.decompose()
    for node in tree.body.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    return tree.body.text()


def _tidy(text: str) -> str:
    return _LINES.sub("\n", _BLANKS.sub(" ", text)).strip()
