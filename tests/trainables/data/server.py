"""A local server that misbehaves on demand."""

import hashlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from trainables.data.corpus import RemoteFile

BODY = bytes(range(256)) * 1_000  # several chunks
HALF = len(BODY) // 2


def remote(url: str, body: bytes = BODY, name: str = "set/file.txt") -> RemoteFile:
    return RemoteFile(name, url, len(body), hashlib.sha256(body).hexdigest())


Reply = Callable[["Handler"], object]
Waits = list[float]


class Server(ThreadingHTTPServer):
    """Answers with the replies it was given, in turn, and then as a sound server would."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.ranges: list[str | None] = []  # the Range header of every request

    @property
    def file(self) -> RemoteFile:
        return remote(f"http://127.0.0.1:{self.server_port}/file.txt")


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers["Range"])
        reply = self.server.replies.pop(0) if self.server.replies else sound
        reply(self)

    def start(self) -> int:
        """The first byte asked for."""
        return int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def send(self, status: int, body: bytes, *, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def cut_after(size: int) -> Reply:
    """What the request asks for, broken off after `size` bytes."""

    def reply(handler: Handler) -> None:
        rest = BODY[handler.start() :]
        status = 206 if handler.headers["Range"] else 200
        handler.send(status, rest[:size], length=len(rest))

    return reply


sound = cut_after(len(BODY))


def whole(body: bytes) -> Reply:
    """The whole of `body`, whatever the Range header asks for."""
    return lambda handler: handler.send(200, body)


def status(code: int) -> Reply:
    return lambda handler: handler.send(code, b"no")


def redirect(url: str) -> Reply:
    def reply(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.end_headers()

    return reply
