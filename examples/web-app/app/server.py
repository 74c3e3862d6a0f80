"""A guest book: a list, a form, and a health check that asks the database."""

import html
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from database import transaction

PAGE = """<!doctype html>
<meta charset="utf-8"><title>{greeting}</title>
<body style="margin:3rem auto;max-width:36rem;font:1rem/1.6 system-ui">
<h1>{greeting}</h1>
<form method="post"><input name="name" placeholder="Your name" required maxlength="60">
<input name="words" placeholder="A few words" required maxlength="200"> <button>Sign</button></form>
<ul>{entries}</ul>
"""


class GuestBook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            with transaction() as db:
                db.execute("SELECT count(*) FROM entry")
            return self.answer(200, "ok\n", "text/plain")
        if self.path != "/":
            return self.answer(404, "not here\n", "text/plain")
        with transaction() as db:
            db.execute("SELECT name, words FROM entry ORDER BY id DESC LIMIT 100")
            entries = "".join(f"<li><b>{html.escape(name)}</b>: {html.escape(words)}</li>" for name, words in db.fetchall())
        greeting = html.escape(os.environ.get("GREETING", "Guest book"))
        return self.answer(200, PAGE.format(greeting=greeting, entries=entries), "text/html; charset=utf-8")

    def do_POST(self):
        length = min(int(self.headers.get("Content-Length", 0)), 4096)
        form = parse_qs(self.rfile.read(length).decode("utf-8"))
        name, words = (form.get(key, [""])[0].strip() for key in ("name", "words"))
        if not name or not words:
            return self.answer(422, "a name and a few words, please\n", "text/plain")
        with transaction() as db:
            db.execute("INSERT INTO entry (name, words) VALUES (%s, %s)", (name[:60], words[:200]))
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status, text, kind):
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    server = ThreadingHTTPServer(("", 8000), GuestBook)
    server.daemon_threads = True
    # The first process of a container gets no default signal handlers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("listening on port 8000")
    server.serve_forever()


if __name__ == "__main__":
    main()
