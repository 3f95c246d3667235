"""What text would a person see in this HTML?

The parser is quadratic in nesting depth (100,000 nested elements take 25 s), so size and depth are bounded before it runs;
past the bounds the tags are cut out by a linear pattern, so that no text escapes a filter.
"""

import re
from collections import Counter

from selectolax.lexbor import LexborHTMLParser

MAX_CHARACTERS = 2_000_000
"""HTML after this is not read."""
MAX_DEPTH = 1000

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)[^>]*+>?")
_MARKUP = re.compile(r"<(?:!--.*?(?:-->|\Z)|[^>]*+>?)", re.DOTALL)
_VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
_SELF_ENDING = frozenset(("p", "li", "td", "th", "tr", "option", "dt", "dd"))
"""Elements whose end tag is often left out; one directly inside its like ends that."""
_FORMATTING = frozenset(("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"))
"""Elements that the parser opens again after an end tag of another has closed them, which is quadratic in their number."""
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
            if len(open_names) > MAX_DEPTH:
                return False
        elif counts[name]:  # an end tag of nothing open closes nothing
            while (closed := open_names.pop()) != name:
                counts[closed] -= 1
                reopened += closed in _FORMATTING
            counts[name] -= 1
            if reopened > MAX_DEPTH:
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
