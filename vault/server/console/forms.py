"""Forms and cookies: fields of a body, where a form was sent from, and the cookie that names a session."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from vault.files.loopback import is_loopback
from vault.server.problems import HttpProblem

MOST_FIELDS = 40
_COOKIE, _LOOPBACK_COOKIE = "__Host-genovault", "genovault-loopback"


def fields(data: bytes | str) -> dict[str, str]:
    """Fields of a form or a query, by name, without white space around; of a name that comes twice the last. Raises HttpProblem 400."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HttpProblem(400, "form_malformed", "the form is none") from None
    return {name: value.strip() for name, value in pairs}


def require_same_origin(request: Request) -> None:
    """Refuse a form that another site sent. Raises HttpProblem 403 ``cross_site``.

    Browsers say where a form is from in Sec-Fetch-Site; older ones in Origin, which is "null" under this console's referrer policy and is then
    no proof. What says neither is refused.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    named = origin not in (None, "null")
    if (site is None and not named) or site not in (None, "same-origin"):
        raise _cross_site()
    if named and urlsplit(origin or "").netloc != request.headers.get("host"):
        raise _cross_site()


def require_token(form: Mapping[str, str], token: str) -> None:
    """Refuse a form of another session's page. Raises HttpProblem 403 ``form_outdated``."""
    if not hmac.compare_digest(form.get("token", "").encode(), token.encode()):
        raise HttpProblem(403, "form_outdated", "this page is of an earlier login: open it again")


def require_private(request: Request) -> None:
    """Passphrases and tokens come over TLS, the Unix socket or from this machine alone. Raises HttpProblem 403."""
    if _is_clear(request) and not is_loopback(request.client.host if request.client else ""):
        raise HttpProblem(403, "channel_not_private", "log in over TLS")


def session_id(request: Request) -> str:
    """Session that the request's cookie names, or ""."""
    return request.cookies.get(_cookie(request), "")


def set_session(request: Request, response: Response, value: str) -> None:
    """Give the browser a session's id, for this browser session and this site alone."""
    secure = not _is_clear(request)
    response.set_cookie(_cookie(request), value, path="/", secure=secure, httponly=True, samesite="strict")


def is_secure(request: Request) -> bool:
    """True where cookies are for TLS alone: everywhere but on clear loopback."""
    return not _is_clear(request)


def forget_session(request: Request, response: Response) -> None:
    """Take the cookie back."""
    secure = not _is_clear(request)
    response.delete_cookie(_cookie(request), path="/", secure=secure, httponly=True, samesite="strict")


def _cookie(request: Request) -> str:
    """Name of the cookie: over clear HTTP, which stays on this machine, browsers keep no cookie of the prefix __Host-."""
    return _LOOPBACK_COOKIE if _is_clear(request) else _COOKIE


def _is_clear(request: Request) -> bool:
    """True over TCP without TLS. Behind the Unix socket stands a proxy, and between it and the browser TLS."""
    return request.client is not None and request.url.scheme != "https"


def _cross_site() -> HttpProblem:
    return HttpProblem(403, "cross_site", "this form was sent from another site")
