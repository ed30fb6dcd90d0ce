"""Requests that change something come from our own pages only. Label Studio's check of its CSRF token stays as well."""

from urllib.parse import urlsplit

from starlette.requests import Request

from annotate.gateway.errors import Refused
from annotate.gateway.rules import SAFE, Deed


def check_origin(request: Request, origin: str, deed: Deed | None) -> None:
    """`Refused` where a browser says that another site's page sent this; what is no browser says nothing."""
    if request.method in SAFE or deed is Deed.WAKE:
        return
    said = request.headers.get("origin")
    here = {urlsplit(origin).netloc, request.headers.get("host", "")} - {""}
    if said is not None and urlsplit(said).netloc not in here:
        raise Refused(403, "this came from another site's page")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "this came from another site's page")
