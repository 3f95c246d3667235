"""Where does a realistic message of a given size come from? Made from a fixed seed, so that every run reads the same octets."""

import base64
import random
import re
from functools import cache

_WORDS = re.findall(
    r"\w+",
    """the meeting about budget moved to Thursday please find attached a short note from our office and tell us whether
    it suits you because several colleagues will travel that week while others join by phone as usual thank you regards""",
)


def header(seed: int, *more: str, hops: int = 4) -> bytes:
    """About 25 fields, as a message has that passed relays and a mailing list; `more` are the fields of MIME."""
    dice = random.Random(seed)
    token = f"{dice.getrandbits(64):016x}"
    trace = [
        f"Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n"
        f"\tby relay{hop}.example.org with ESMTPS id {dice.getrandbits(40):010X}\r\n"
        f"\tfor <anna@example.org>; Tue, 24 Nov 2026 09:0{hop}:12 +0000"
        for hop in range(hops)
    ]
    signature = base64.b64encode(dice.randbytes(256 if hops > 1 else 64)).decode()
    folded = "\r\n\t".join(signature[start : start + 70] for start in range(0, len(signature), 70))
    fields = [
        "Return-Path: <list-bounces@lists.example.net>",
        "Delivered-To: anna@example.org",
        *trace,
        "Authentication-Results: mx.example.org; dkim=pass header.d=example.net;\r\n\tspf=pass smtp.mailfrom=lists.example.net",
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=k1;\r\n"
        f"\th=from:to:subject:date:message-id; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n\tb={folded}",
        'From: "M=?utf-8?q?=C3=BC?=ller, Bernd" <bernd@example.net>',
        "Sender: list-bounces@lists.example.net",
        "To: Anna Example <anna@example.org>, team@example.org",
        'Cc: "Office, Main" <office@example.net>, =?utf-8?q?J=C3=B6rg?= <joerg@example.com>',
        "Subject: =?utf-8?q?Sitzung_am_Donnerstag=3A_=C3=84nderung?= of the agenda",
        "Date: Tue, 24 Nov 2026 10:04:05 +0100",
        f"Message-ID: <{token}@example.net>",
        f"In-Reply-To: <{token[::-1]}@example.org>",
        f"References: <first.{token}@example.org>\r\n <{token[::-1]}@example.org>",
        "MIME-Version: 1.0",
        *more,
        "User-Agent: Example Mail 12.4",
        "List-Id: Planning <planning.lists.example.net>",
        "List-Unsubscribe: <mailto:list-request@lists.example.net?subject=unsubscribe>",
        "Precedence: list",
        "X-Mailer-Token: " + token,
    ]
    return "\r\n".join(fields).encode("ascii") + b"\r\n\r\n"


def prose(seed: int, size: int) -> bytes:
    """Lines of words, `size` octets at most (300 at least), ending with a line end."""
    dice = random.Random(seed)
    block, length = [], 0
    while length < min(size, 1 << 16):
        line = " ".join(dice.choices(_WORDS, k=11)) + "\r\n"
        block.append(line)
        length += len(line)
    octets = "".join(block).encode("ascii")
    octets *= size // len(octets) + 1
    return octets[: octets.rfind(b"\n", 0, max(size, 1)) + 1]


def base64_lines(seed: int, size: int) -> bytes:
    """About `size` octets of base64 in lines of 76."""
    return base64.encodebytes(random.Random(seed).randbytes(size * 57 // 78)).replace(b"\n", b"\r\n")


@cache
def plain(size: int, seed: int = 1) -> bytes:
    """A text/plain message of about `size` octets."""
    top = header(
        seed, "Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit", hops=4 if size > 5000 else 1
    )
    return top + prose(seed, max(size - len(top), 300))


@cache
def mixed(size: int, seed: int = 1) -> bytes:
    """multipart/mixed of about `size` octets: multipart/alternative of text and HTML, then one to four attachments."""
    outer, inner = f"=_outer_{seed:08d}", f"----=_Part_{seed:06d}.1795511045"
    top = header(seed, f'Content-Type: multipart/mixed; boundary="{outer}"', hops=4 if size > 5000 else 1)
    room = max(size - len(top) - 900, 200)
    text = prose(seed, min(room // 4, 6000))
    html = b"<html><body>\r\n" + b"".join(b"<p>%s</p>\r\n" % line for line in text.splitlines()) + b"</body></html>\r\n"
    pieces = [
        top,
        b"This is a message in several parts.\r\n",
        b'--%s\r\nContent-Type: multipart/alternative;\r\n\tboundary="%s"\r\n\r\n' % (outer.encode(), inner.encode()),
        b"--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        % inner.encode(),
        text,
        b"\r\n--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        % inner.encode(),
        html,
        b"\r\n--%s--\r\n" % inner.encode(),
    ]
    left = max(size - sum(map(len, pieces)) - 300, 100)
    count = min(1 + left // 20_000, 4)
    for number in range(count):
        pieces.append(
            b'\r\n--%s\r\nContent-Type: application/pdf; name="report-%d.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            b'Content-Disposition: attachment; filename="report-%d.pdf"\r\n\r\n' % (outer.encode(), number, number)
        )
        pieces.append(base64_lines(seed + number, max(left // count - 200, 100)))
    pieces.append(b"\r\n--%s--\r\n" % outer.encode())
    return b"".join(pieces)
