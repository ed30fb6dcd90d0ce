"""Links to media: opaque names, and signatures that bind a link to one person and a time.

A name is a keyed hash of the file's own hash, so that neither the generator, nor the side, nor the file can be read off
it. A link carries the person's number, the second at which it ends, and a signature of all three.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping

from annotate.errors import LinkRefused

PREFIX = "/likeness/media/"
NAME_DIGITS = 32
LIFE_S = 4 * 3600
"""How long a link is good for: longer than anybody looks at one pair; the page gets new ones with each pair."""


def media_name(sha256: str, suffix: str, *, key: str) -> str:
    """What a published file is called: `suffix` is `.mp4`, `.jpg` or `.png`."""
    return _digest(key, "name", sha256)[:NAME_DIGITS] + suffix


def sign(name: str, *, user: int, key: str, now: float | None = None, life_s: float = LIFE_S) -> str:
    """The link by which one person may fetch a file until `life_s` seconds from now."""
    ends = int((time.time() if now is None else now) + life_s)
    return f"{PREFIX}{name}?u={user}&e={ends}&s={_signature(name, user, ends, key)}"


def check(name: str, query: Mapping[str, str], *, user: int, key: str, now: float | None = None) -> None:
    """`LinkRefused` unless the link was signed for this person and has not ended."""
    try:
        named, ends, signature = int(query["u"]), int(query["e"]), query["s"]
    except (KeyError, ValueError) as error:
        raise LinkRefused("a media link lacks its signature") from error
    if not hmac.compare_digest(signature.encode(), _signature(name, named, ends, key).encode()):
        raise LinkRefused("a media link was not signed here")
    if named != user:
        raise LinkRefused("a media link was made for somebody else")
    if ends < (time.time() if now is None else now):
        raise LinkRefused("a media link has ended; load the pair again")


def _signature(name: str, user: int, ends: int, key: str) -> str:
    return _digest(key, "link", name, str(user), str(ends))


def _digest(key: str, *content: str) -> str:
    return hmac.new(key.encode(), "\0".join(content).encode(), hashlib.sha256).hexdigest()
