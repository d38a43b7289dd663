"""The channel to a server: one request, one answer, within bounds of time and size, and errors as the embedded API has them.

A server is not believed more than it has to be: no redirect is followed, nothing is decompressed, an answer ends at a number of bytes and of
seconds, and what it says of an error is cut to one line of plain characters.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vault.client.addresses import ServerAddress
from vault.client.answer_reading import malformed
from vault.errors import GenovaultError, InputError, RefusedError, UnavailableError

if TYPE_CHECKING:
    import httpx

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
MOST_JSON = 1 << 26  # bytes of an answer in JSON
MOST_ARROW = 1 << 30  # of genotypes: 500,000 people at 1,000 sites
TRIES = 4  # of a request that is answered 503, 429, or 202 (not yet)
LONGEST_PAUSE = 10.0  # seconds between two of them; a server that asks for more is not asked again
CONNECT_SECONDS = 10.0
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TOKEN = re.compile(r"gvt_[0-9A-Za-z_-]{1,200}")
_STATUSES = {202: "receipt_pending", 408: "body_too_slow", 429: "too_many_waiting", 500: "internal_error", 503: "unavailable"}


@dataclass(frozen=True, repr=False)
class BearerToken:
    """Access token, which no text of ours shows."""

    text: str = field(repr=False)

    def __repr__(self) -> str:
        return "BearerToken()"


@dataclass(frozen=True)
class ServerAnswer:
    """Answer with status 200. ``headers``: by lower-case name."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]


class ServerChannel:
    """Connections to one server, in a token's name.

    Args:
        timeout: seconds that an answer may take, from its first byte asked to its last.
        sleep: waits between tries.
    """

    def __init__(
        self,
        address: ServerAddress,
        token: BearerToken,
        *,
        timeout: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http, self._deadlines = _libraries()
        self._token, self._timeout, self._sleep = token, timeout, sleep
        self._client = self._http.Client(
            base_url=address.url,
            transport=self._deadlines.BoundTransport(tls=address.tls, unix=address.unix),
            trust_env=False,  # no proxy, and no password file of the machine's
            follow_redirects=False,
            timeout=self._http.Timeout(timeout, connect=CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity"},
        )

    def __repr__(self) -> str:
        return f"ServerChannel({self._client.base_url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        accept: str = JSON,
        wait: float = 0.0,
    ) -> ServerAnswer:
        """Send a request until it is answered, at most ``TRIES`` times where the server is busy or not ready; ``wait``: seconds that the server may hold it.

        Raises:
            RefusedError: ``token_refused``, ``refused``. InputError: what the server says of the question.
            UnavailableError: the server is away, sealed or busy, or what answers is none.
        """
        for tries in range(1, TRIES + 1):
            status, answer = self._once(method, path, body=body, query=query, accept=accept, wait=wait)
            if status in {200, 204}:
                return answer
            pause = _pause(answer.headers, tries)
            if status not in {202, 429, 503} or tries == TRIES or pause > LONGEST_PAUSE:
                raise error_of(status, answer)
            self._sleep(pause)
        raise malformed()  # unreachable: the last try returns or raises

    def _once(
        self, method: str, path: str, *, body: object, query: Mapping[str, str] | None, accept: str, wait: float
    ) -> tuple[int, ServerAnswer]:
        """One request and its answer, whatever its status. Raises UnavailableError."""
        http, core = self._http, self._deadlines.httpcore
        until = time.monotonic() + self._timeout + wait
        self._deadlines.UNTIL.set(until)
        try:
            request = self._client.build_request(
                method,
                path,
                content=None if body is None else json.dumps(body).encode(),
                params=None if query is None else dict(query),
                headers={"Accept": accept} | ({} if body is None else {"Content-Type": JSON}),
                timeout=http.Timeout(self._timeout + wait, connect=CONNECT_SECONDS),
            )
            request.headers["Authorization"] = f"Bearer {self._token.text}"
            try:
                answer = self._client.send(request, stream=True)
            except (core.RemoteProtocolError, core.ReadError, core.WriteError):
                answer = self._client.send(request, stream=True)  # a connection that was kept, and closed by the server meanwhile
            try:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                kind = headers.get("content-type", "").split(";")[0].strip()
                if answer.status_code == 200 and (kind != accept or "content-encoding" in headers):
                    raise malformed()
                most = MOST_ARROW if answer.status_code == 200 and accept == ARROW else MOST_JSON
                return answer.status_code, ServerAnswer(_bounded(answer, most, until), headers)
            finally:
                answer.close()
        except core.TimeoutException:
            raise _too_slow() from None
        except (
            core.NetworkError,
            core.ProtocolError,
            core.UnsupportedProtocol,
            http.HTTPError,
            http.StreamError,
            OSError,
        ) as error:
            raise _away(error) from None


def error_of(status: int, answer: ServerAnswer) -> GenovaultError:
    """Error that a status other than 200 is."""
    code, title = _problem(answer)
    if status == 401:
        return RefusedError("token_refused", "this token is not accepted", hint="ask a steward for a new one")
    if status == 403:
        return RefusedError("refused", title or "No data can be released for this request.")
    if status in {400, 413}:
        return InputError(code or "not_asked_so", title or "the server does not take this question")
    if status in _STATUSES:
        return UnavailableError(code or _STATUSES[status], title or "the server does not answer now")
    return malformed()


def _problem(answer: ServerAnswer) -> tuple[str, str]:
    """Code and title of a problem; empty where there is none."""
    if answer.headers.get("content-type", "").split(";")[0].strip() != "application/problem+json":
        return "", ""
    try:
        said: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    code, title = said.get("code"), said.get("title")
    plain = "".join(one for one in title if one.isprintable())[:200] if isinstance(title, str) else ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "", _TOKEN.sub("gvt_…", plain)


def _bounded(answer: httpx.Response, most: int, until: float) -> bytes:
    """The whole body. Raises UnavailableError ``answer_too_large``, ``answer_too_slow``."""
    read = bytearray()
    for part in answer.iter_raw():
        read += part
        if len(read) > most:
            raise UnavailableError("answer_too_large", f"an answer has at most {most:,} bytes")
        if time.monotonic() > until:
            raise _too_slow()
    return bytes(read)


def _pause(headers: Mapping[str, str], tries: int) -> float:
    """Seconds until the next try: what the server asks for, else longer each time."""
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0.25 * 2**tries


def _too_slow() -> UnavailableError:
    return UnavailableError("answer_too_slow", "the server did not answer in time", hint="try again, or raise timeout")


def _away(error: Exception) -> UnavailableError:
    return UnavailableError(
        "server_unreachable",
        f"the server cannot be reached, or is not who it should be ({type(error).__name__})",
        hint="address, certificate, and whether it runs",
    )


def _libraries() -> tuple[Any, Any]:
    """Libraries of the extra: httpx, and what bounds its connections. Raises UnavailableError ``extra_missing``."""
    try:
        import httpx  # noqa: PLC0415 - of an extra: importing vault stays light

        from vault.client import deadlines  # noqa: PLC0415 - as httpx, which it needs
    except ImportError:
        raise UnavailableError("extra_missing", "httpx is not installed", hint="pip install 'genovault[client]'") from None
    return httpx, deadlines
