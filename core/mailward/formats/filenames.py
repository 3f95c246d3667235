"""What is an attachment called, and what of that name may be shown or written? (RFC 2183 section 2.3, T-MIME-23 to T-MIME-25)

The names are a stranger's, and clients choose among them differently: rules look at each one, people are shown the one that
says most about what opening the file does, and nobody gets a path, an invisible character or a name that means a device.
"""

import re
import unicodedata
from collections.abc import Iterable

from mailward.formats.parameters import Parameterised

_RUNNING = (
    "appinstaller application appref-ms appx bas bat chm cmd com cpl dll exe gadget hta inf ins isp jar jnlp js jse lnk "
    "library-ms mde msc msi msix msp mst pif ps1 ps1xml psm1 py pyw pyz reg scf scr sct search-ms settingcontent-ms sh "
    "theme themepack url vb vbe vbs website wsc wsf wsh xll"
)
_HOLDING = (
    "7z accdb ace arj bz2 cab ctt doc docm dot dotm eml gz htm html ics img iso lha lzh mht mhtml msg one onepkg pdf potm ppam "
    "ppsm ppt pptm rar rtf shtml sldm svg tar tgz udf vhd vhdx vmdk xhtml xlam xls xlsb xlsm xlt xltm xml xsl xz z zip zst"
)
RUNNING = frozenset(_RUNNING.split())
"""Extensions of files that do something when they are opened."""
HOLDING = frozenset(_HOLDING.split())
"""Extensions of files that can carry such files, or scripts and macros."""

UNNAMED = "unnamed"
_MAX_NAME_OCTETS = 200
"""Below the 255 that file systems allow, with room for what a download adds."""
_EXTENSION = re.compile(r"\.([A-Za-z0-9_-]{1,20})$")
_AFTER_EXTENSION = './\\:*?"<>|' + "".join(filter(str.isspace, map(chr, range(0x3001))))
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?:[\s.]|$)",
    re.IGNORECASE,
)
_FORBIDDEN = str.maketrans(dict.fromkeys(':*?"<>|', " "))
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FILLERS = dict.fromkeys([0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0])
"""Letters by their category, blank on the screen."""


def filenames(disposition: Parameterised, content_type: Parameterised) -> tuple[str, ...]:
    """Every name that some client may show, the likeliest first."""
    places = ((disposition, "filename"), (content_type, "name"), (disposition, "name"), (content_type, "filename"))
    return tuple(dict.fromkeys(name for field, key in places for name in field.readings.get(key, ()) if name.strip()))


def extension_of(name: str) -> str:
    """The extension that would count when the file is opened, in lower case; "" when there is none."""
    found = _EXTENSION.search(_bare(name))
    return found.group(1).lower() if found else ""


def safest(names: Iterable[str]) -> str | None:
    """The name to show when clients differ: the first of those whose extension promises the least good, made harmless."""
    known = tuple(names)
    return sanitised(min(known, key=_rank)) if known else None


def sanitised(name: str) -> str:
    """The name without path and tricks, fit to be shown and to be offered as the name of a download; never empty.

    The extension stays what `extension_of` says.
    """
    name = " ".join(re.split(r"[/\\]", _bare(name))[-1].translate(_FORBIDDEN).split())
    if name.startswith((".", "-", "~")) or _DEVICE.match(name):
        name = f"_{name}"
    return _shortened(name) or UNNAMED


def _rank(name: str) -> int:
    extension = extension_of(name)
    return 0 if extension in RUNNING else 1 if extension in HOLDING else 2 if extension else 3


def _bare(name: str) -> str:
    """Without what cannot be seen, and what is dropped at the end: dots, blanks, slashes, specials, the name of a stream."""
    if not (name.isascii() and name.isprintable()):
        name = "".join(c for c in name.translate(_FILLERS) if unicodedata.category(c) not in _INVISIBLE)
    return name.partition("::")[0].rstrip(_AFTER_EXTENSION)


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_NAME_OCTETS:
        return name
    found = _EXTENSION.search(name)
    end = found.group() if found else ""
    start = name[: len(name) - len(end)].encode()[: _MAX_NAME_OCTETS - len(end)].decode("utf-8", "ignore")
    return start.rstrip(" .") + end
