"""Published files, to the one person for whom the link was signed, in ranges, and from the media folder only."""

import re
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import FileResponse, Response

from annotate import links
from annotate.errors import LinkRefused
from annotate.gateway.errors import Refused

NAME = re.compile(rf"[0-9a-f]{{{links.NAME_DIGITS}}}\.(mp4|webm|jpg|jpeg|png|webp)")
TYPES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
}
HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "private, max-age=3600",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


def check(name: str, query: Mapping[str, str], *, user: int, is_operator: bool, key: str) -> None:
    """`Refused` unless this person may see the file: by a link of their own, or as the operator."""
    if not NAME.fullmatch(name):
        raise Refused(404, "no file here is called so")
    if is_operator:
        return
    try:
        links.check(name, query, user=user, key=key)
    except LinkRefused as error:
        raise Refused(403, str(error)) from error


def file_response(folder: Path, name: str) -> Response:
    """The file, whole or the range that was asked for. A name is one segment of hexadecimal digits: it leads nowhere
    else; and a link that lies there is followed only where it leads to a file."""
    path = folder / name
    if not NAME.fullmatch(name) or not path.is_file():
        raise Refused(404, "no file here is called so")
    return FileResponse(path, media_type=TYPES[path.suffix[1:]], headers=HEADERS)
