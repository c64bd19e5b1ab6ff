"""The page's server: for this machine alone, behind a random token, one at a time for a folder."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from ecotf.errors import ConfigError, EcotfError
from ecotf.files import lock, unlock
from ecotf.reports.text import quoted
from ecotf.review.base import PAGE, Reviewed
from ecotf.review.media import Media

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from uvicorn import Server

ADDRESS = "127.0.0.1"
_LOCK = ".job.lock"  # that of the job that writes the folder, so that neither changes under the other
_MOST_BYTES = 1 << 20  # of a decision
_POLICY = "; ".join(
    ["default-src 'none'", *(f"{kind}-src 'self'" for kind in ("script", "style", "media", "connect")),
     "img-src 'self' data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
)  # fmt: skip
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def make_app(reviewed: Reviewed, token: str, hosts: frozenset[str]) -> Starlette:
    """Make the application that answers the page.

    Parameters
    ----------
    token
        The first part of every path; whoever does not know it gets nothing.
    hosts
        What the header ``Host`` may be, as ``127.0.0.1:8000``. A page of the web that has made its name point to this
        machine (DNS rebinding) says another one.
    """
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    media, one_at_a_time = Media(reviewed), threading.Lock()

    def guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Answer only to whom it is meant for; a mistake is one line."""

        def checked(request: Request) -> Response:
            problem = _refusal(request, token, hosts)
            if problem:
                response: Response = PlainTextResponse(problem, 403)
            else:
                try:
                    response = answer(request)
                except EcotfError as error:
                    response = JSONResponse({"error": str(error)}, 422)
            for name, value in _HEADERS.items():
                response.headers[name] = value
            return response

        return checked

    def page(_: Request) -> Response:
        frame = (PAGE / "frame.html").read_text(encoding="utf-8")
        whole = frame.replace("{title}", quoted(reviewed.title)).replace("{body}", reviewed.body)
        return Response(whole, media_type="text/html; charset=utf-8")

    def style(_: Request) -> Response:
        return Response((PAGE / "page.css").read_bytes(), media_type="text/css; charset=utf-8")

    def script(_: Request) -> Response:
        joined = b"\n".join(path.read_bytes() for path in reviewed.scripts)
        return Response(b'"use strict";\n' + joined, media_type="text/javascript; charset=utf-8")

    def view(request: Request) -> Response:
        with one_at_a_time:
            found = reviewed.view(request.path_params["name"], request.query_params)
        if isinstance(found, bytes):
            return Response(found, media_type="application/octet-stream")
        return JSONResponse(found)

    def clip(request: Request) -> Response:
        return JSONResponse(media.facts(*_asked(request)))

    def sound(request: Request) -> Response:
        found = media.excerpt(*_asked(request))
        return _ranged(request, found.sound, found.sound_kind)

    def picture(request: Request) -> Response:
        return Response(media.excerpt(*_asked(request)).picture, media_type="image/png")

    async def decide(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        body = b""
        if not _refusal(request, token, hosts):
            async for piece in request.stream():
                body += piece
                if len(body) > _MOST_BYTES:
                    break
        return await run_in_threadpool(guarded(lambda asked: _decided(asked, body)), request)

    def _decided(_: Request, body: bytes) -> Response:
        decision = _decision(body)
        with one_at_a_time:
            return JSONResponse(reviewed.decide(decision))

    gets = {
        "/": page, "/page.css": style, "/page.js": script, "/view/{name}": view, "/clip/{number:int}": clip,
        "/clip/{number:int}/sound": sound, "/clip/{number:int}/picture": picture,
    }  # fmt: skip
    routes = [Route("/{token}" + path, guarded(answer)) for path, answer in gets.items()]
    routes.append(Route("/{token}/decide", decide, methods=["POST"]))

    def nothing(_: Request, __: Exception) -> Response:
        return PlainTextResponse("not found", 404)

    return Starlette(routes=routes, exception_handlers={404: nothing})


class PageServer:
    """A page that is open: the folder is held and the port is taken; used as ``with``.

    Parameters
    ----------
    port
        0 takes any free one.

    Attributes
    ----------
    url
        Where a browser finds the page, with the token.

    Raises
    ------
    ConfigError
        Another page is open for this folder, or a job writes it; or the port is taken.

    Examples
    --------
    >>> with PageServer(reviewed) as server:  # doctest: +SKIP
    ...     print(server.url)
    ...     server.run()
    """

    def __init__(self, reviewed: Reviewed, port: int = 0) -> None:
        self._held: IO[str] = lock(reviewed.folder / _LOCK, f"{reviewed.folder}: is in use (process {{pid}})")
        try:
            self._socket = _listen(port)
        except BaseException:
            unlock(self._held)
            raise
        self.port: int = self._socket.getsockname()[1]
        token = secrets.token_urlsafe(24)
        self.url = f"http://{ADDRESS}:{self.port}/{token}/"
        os.fchmod(self._held.fileno(), 0o600)  # the address is a secret of this user
        self._held.truncate(0)
        self._held.write(f"{os.getpid()}, its page is {self.url}\n")
        self._held.flush()
        self._hosts = frozenset(f"{name}:{self.port}" for name in (ADDRESS, "localhost"))
        self._server = self._make(make_app(reviewed, token, self._hosts))

    def _make(self, app: Any) -> Server:
        from uvicorn import Config, Server

        return Server(
            Config(
                app,
                log_config=None,
                log_level="error",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=2,
            )
        )

    def run(self) -> None:
        """Answer until Ctrl-C or `stop`."""
        with suppress(KeyboardInterrupt):  # uvicorn has ended cleanly, and passes it on
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the folder and the port back."""
        self._socket.close()
        unlock(self._held)

    def __enter__(self) -> PageServer:
        """Return the server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def serve(reviewed: Reviewed, port: int = 0, open_browser: bool = True, log: Callable[[str], None] = print) -> None:
    """Show what is reviewed in the browser of this machine until Ctrl-C.

    Parameters
    ----------
    port
        0 takes any free one.
    log
        Takes the line with the address.

    Raises
    ------
    ConfigError
        Another page is open for this folder, or a job writes it; or the port is taken.
    """
    with PageServer(reviewed, port) as server, _stopped_by_signals(server):
        log(f"page:     {server.url}")
        log("Ctrl-C ends it; every decision is kept at once")
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        server.run()


@contextmanager
def _stopped_by_signals(server: PageServer) -> Iterator[None]:
    """Let Ctrl-C and a polite kill end the server, from before its address is said until after it has ended."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: server.stop()) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _refusal(request: Request, token: str, hosts: frozenset[str]) -> str:
    """Why a request is not answered; empty where it is."""
    if request.headers.get("host", "").lower() not in hosts:
        return "this server answers its own machine only"
    if not secrets.compare_digest(request.path_params["token"].encode(), token.encode()):
        return "the address is not complete: use the whole one that ecotf printed"
    if request.method == "POST":
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
            return "a decision comes from the page itself"
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return "a decision is JSON"
    return ""


def _asked(request: Request) -> tuple[int, int]:
    text = request.query_params.get("zoom", "1")
    return request.path_params["number"], int(text) if text.isascii() and text.isdigit() else 0


def _decision(body: bytes) -> dict[str, Any]:
    import json

    if len(body) > _MOST_BYTES:
        raise EcotfError(f"a decision has at most {_MOST_BYTES} bytes")
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise EcotfError("a decision is one JSON object")
    return values


def _ranged(request: Request, content: bytes, kind: str) -> Response:
    """Answer with all or with the asked part: a browser seeks in a sound only where the server knows parts."""
    from starlette.responses import Response

    first, _, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
    headers = {"accept-ranges": "bytes"}
    if not first.isdigit() or int(first) >= len(content):
        return Response(content, media_type=kind, headers=headers)
    end = min(int(last) + 1 if last.isdigit() else len(content), len(content))
    headers["content-range"] = f"bytes {first}-{end - 1}/{len(content)}"
    return Response(content[int(first) : end], 206, headers, kind)


def _listen(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((ADDRESS, port))
        found.listen(128)  # a browser that is quicker than the server waits
    except (OSError, OverflowError) as error:
        found.close()
        why = error.strerror if isinstance(error, OSError) else "no port has that number"
        raise ConfigError(f"port {port}: cannot be used ({why}); give another --port") from None
    found.set_inheritable(True)
    return found
