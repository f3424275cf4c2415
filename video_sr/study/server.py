"""The page that asks, served to this machine alone; it names no method, so that nobody can tell which is which."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common.data.pictures import read_image
from common.strict_json import parsed
from video_sr.study.pairs import Pair, Shown, Vote, keep

PAGE = Path(__file__).with_name("page.html")
HOST = "127.0.0.1"
POLICY = "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
LARGEST_VOTE_BYTES = 1000
KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass
class Study:
    """Questions one after another; each is answered once.

    Args:
        shown: pictures by method and scene.
        questions: in the order in which they are asked.
        votes: the file that answers are added to.
    """

    shown: Shown
    questions: Sequence[Pair]
    votes: Path
    answered: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def state(self) -> dict[str, int | None]:
        """Number of the question that is next, and how many are left."""
        left = len(self.questions) - self.answered
        return {"number": self.answered if left else None, "left": left}

    def picture(self, number: int, side: str) -> bytes:
        """What a question shows on a side: the file where every browser shows its kind, else the same as PNG."""
        pair = self.questions[number]
        method = {"left": pair.left, "right": pair.right}[side]
        path = self.shown[method][pair.scene]
        content = path.read_bytes()
        return content if content.startswith(tuple(KINDS)) else _png(path)

    def vote(self, number: int, chosen: str) -> None:
        """Keeps an answer.

        Raises:
            ValueError: another question is next, or there is no such choice.
        """
        with self._turn:
            if number != self.state()["number"]:
                raise ValueError(f"question {number} is not next")
            pair = self.questions[number]
            keep(self.votes, Vote(pair.scene, pair.left, pair.right, chosen))
            self.answered += 1


def _png(path: Path) -> bytes:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(read_image(path)).save(held, "PNG")
    return held.getvalue()


def serve(study: Study, port: int) -> ThreadingHTTPServer:
    """A server on this machine's own address, not yet running; port 0 takes any that is free.

    Raises:
        ValueError: the port is taken.
    """

    class Handler(_Handler):
        pass

    try:
        serving = ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise ValueError(f"port {port} cannot be had: {error}; --port 0 takes any that is free") from error
    Handler.study, Handler.port = study, serving.server_port
    return serving


class _Handler(BaseHTTPRequestHandler):
    study: Study
    port: int

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        match self.path.strip("/").split("/"):
            case [""]:
                self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
            case ["favicon.ico"]:  # browsers ask for one, and complain where there is none
                self._send(b"", "image/x-icon", HTTPStatus.NO_CONTENT)
            case ["next"]:
                self._send(json.dumps(self.study.state()).encode(), "application/json")
            case ["picture", number, ("left" | "right") as side] if self._asked(number):
                content = self.study.picture(int(number), side)
                self._send(content, next(k for start, k in KINDS.items() if content.startswith(start)))
            case _:
                self._send(b"there is no such page", "text/plain", HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if self.path != "/vote" or length > LARGEST_VOTE_BYTES:
                raise ValueError("only votes are taken")
            content = parsed(self.rfile.read(length).decode())
            self.study.vote(int(content["number"]), str(content["chosen"]))
        except (ValueError, KeyError, TypeError) as error:
            self._send(str(error).encode(), "text/plain; charset=utf-8", HTTPStatus.BAD_REQUEST)
        except OSError as error:  # the page tells whoever answers
            self._send(str(error).encode(), "text/plain; charset=utf-8", HTTPStatus.INTERNAL_SERVER_ERROR)
        else:
            self._send(b"kept", "text/plain")

    def _asked(self, number: str) -> bool:
        return number.isdecimal() and int(number) < len(self.study.questions)

    def _is_ours(self) -> bool:
        """Whether the page itself asks: another site's script that reaches this port bears its own name."""
        names = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        origin = self.headers.get("Origin", "").removeprefix("http://")
        if self.headers.get("Host") in names and (not origin or origin in names):
            return True
        self._send(b"only this machine's own page is answered", "text/plain", HTTPStatus.FORBIDDEN)
        return False

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing on the terminal."""
