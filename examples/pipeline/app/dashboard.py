"""Shows what the pipeline does: a page for people, figures for programs."""

import html
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis import Redis


def figures():
    redis = Redis()
    try:
        pairs = redis("HGETALL", "done-by")
        return {
            "produced": int(redis("GET", "produced") or 0),
            "waiting": redis("LLEN", "jobs"),
            "done": int(redis("GET", "done") or 0),
            "done_by": {worker: int(count) for worker, count in zip(pairs[::2], pairs[1::2])},
            "results": redis("LRANGE", "results", 0, -1),
        }
    finally:
        redis.socket.close()


def page(now):
    rows = "".join(f"<tr><td>{html.escape(name)}<td align=right>{count}" for name, count in sorted(now["done_by"].items()))
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in now["results"])
    return (
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>Pipeline</title>"
        "<body style='margin:3rem auto;max-width:44rem;font:1rem/1.6 system-ui'><h1>Pipeline</h1>"
        f"<p>{now['produced']} produced, {now['waiting']} waiting, {now['done']} done</p><table>{rows}</table><ol>{lines}</ol>"
    )


class Dashboard(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            now = figures()
        except OSError as error:
            return self.answer(503, f"the broker does not answer: {error}\n", "text/plain")
        if self.path == "/figures":
            return self.answer(200, json.dumps(now), "application/json")
        return self.answer(200, page(now), "text/html; charset=utf-8")

    def answer(self, status, text, kind):
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet: the page loads itself every two seconds."""


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("listening on port 8000")
    ThreadingHTTPServer(("", 8000), Dashboard).serve_forever()


if __name__ == "__main__":
    main()
