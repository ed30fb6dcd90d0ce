"""Bodies of requests, read up to a limit: what is longer is refused before more of it is taken in."""

from starlette.requests import Request

from annotate.gateway.errors import Refused


async def read_body(request: Request, most: int) -> bytes:
    """`Refused` (413) where the length that is named, or what comes, is more than `most` bytes."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > most:
        raise Refused(413, f"a body here has {most} bytes at most", {"connection": "close"})
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise Refused(413, f"a body here has {most} bytes at most", {"connection": "close"})
    return bytes(content)
