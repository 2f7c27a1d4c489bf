"""Answers that need no session: refusals, the page that asks for the token, and what a request for headers gets."""

from __future__ import annotations

from html import escape
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from tornado.web import RequestHandler

from app import theme
from app.server.token import Key

FIELD = "token"
"""Name of the query key, and of the form's field."""

STYLE = f"""
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; line-height: 1.5; font-family: {theme.FONT};
  background: #f2f4f6; color: {theme.LIGHT.text} }}
main {{ max-width: 34em; padding: 2em }}
h1 {{ font-size: 20px; font-weight: 500; margin: 0 0 .6em }}
p {{ font-size: 14px; margin: 0 0 1.2em }}
a {{ font-size: 14px; font-weight: 500; color: {theme.LIGHT.plus} }}
input, button {{ font: inherit; font-size: 14px; padding: 6px 10px }}
input {{ width: 20em; max-width: 60vw }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #10171e; color: {theme.DARK.text} }}
  a {{ color: {theme.DARK.plus} }}
}}
"""
PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>pcmlab</title>'
    '<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
    "<body><main><h1>{title}</h1><p>{sentence}</p>{more}</main></body></html>"
)
ASKING = (
    "This server answers whoever has its token. The command <code>pcmlab serve</code> has printed an address that "
    "holds it, where it was started: open that address, or type the token."
)
WRONG = "This is not the token of this server. Servers make a new one each time they start, unless they are given one."
FORM = (
    '<form method="post"><label>Token <input type="password" name="token" autocomplete="current-password" '
    "autofocus required></label> <button>Open</button></form>"
)


class Answer(NamedTuple):
    """Who answers a request: a handler and what it is begun with."""

    handler: type[RequestHandler]
    arguments: dict[str, Any]


class Refusal(RequestHandler):
    """Answers every method alike."""

    def initialize(self, status: int, title: str, sentence: str, headers: dict[str, str] | None = None) -> None:
        """Take what to say; called by Tornado for each request."""
        self._status, self._title, self._sentence, self._headers_too = status, title, sentence, headers or {}

    def prepare(self) -> None:
        """Say it before any method is looked at."""
        self.set_status(self._status)
        for name, value in self._headers_too.items():
            self.set_header(name, value)
        write_page(self, self._title, escape(self._sentence))
        self.finish()


def refusal(status: int, title: str, sentence: str, headers: dict[str, str] | None = None) -> Answer:
    """A short page.

    Parameters
    ----------
    status : int
        Of HTTP.
    title, sentence : str
        What a person reads.
    headers : dict of str, optional
        Further headers.
    """
    return Answer(Refusal, {"status": status, "title": title, "sentence": sentence, "headers": headers})


class Known(RequestHandler):
    """Answers a request for the headers of something that is there, without making it."""

    def initialize(self, kind: str) -> None:
        """Take the content's type."""
        self._kind = kind

    def head(self) -> None:
        """Headers alone."""
        self.set_header("Content-Type", self._kind)
        self.set_header("Cache-Control", "no-store")


class Alive(RequestHandler):
    """Answers with JSON that the server answers, and tells no more."""

    def get(self) -> None:
        """Write it."""
        self.set_header("Cache-Control", "no-store")
        self.write({"status": "ok"})

    head = get


class Entrance(RequestHandler):
    """Takes the token, from the address or the form, gives the cookie, and leads on to the page without it.

    Parameters
    ----------
    key : Key
        What opens the door.
    """

    def initialize(self, key: Key) -> None:
        """Take the key; called by Tornado for each request."""
        self._key = key

    def get(self) -> None:
        """With the token in the address, or without: then the page asks for it."""
        self._take(self.get_query_argument(FIELD, None))

    head = get

    def post(self) -> None:
        """With the token from the form."""
        self._take(self.get_body_argument(FIELD, ""))

    def _take(self, text: str | None) -> None:
        self.set_header("Cache-Control", "no-store")
        if text is not None and (self._key.opens(self.request) or self._key.matches(text)):
            self._let_in()
            return
        self.set_status(403)
        write_page(self, "A token, please", ASKING if text is None else WRONG, FORM)

    def _let_in(self) -> None:
        name, value = self._key.cookie
        if name:
            # Lax: a link in a course page or a mail opens a page; frames, scripts and forms of other sites bring none.
            self.set_cookie(name, value, httponly=True, samesite="Lax", secure=self.request.protocol == "https")
        # Relative to the page's own folder, whatever a proxy calls that: it leads nowhere else.
        page, query = self.request.path.rsplit("/", 1)[1], without_token(self.request.query)
        self.redirect(f"./{page}" + (f"?{query}" if query else ""), status=303)


def without_token(query: str) -> str:
    """A query without its token; the rest as it was.

    Examples
    --------
    >>> without_token("preset=sign&token=secret&seed=7"), without_token("%74oken=a")
    ('preset=sign&seed=7', '')
    """
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != FIELD)


def write_page(handler: RequestHandler, title: str, sentence: str, more: str = "") -> None:
    """Write a page without scripts.

    Parameters
    ----------
    handler : tornado.web.RequestHandler
        Answers.
    title, sentence, more : str
        HTML.
    """
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.write(PAGE.format(style=STYLE, title=title, sentence=sentence, more=more))
