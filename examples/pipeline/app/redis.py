"""A client for Redis in a page: the protocol is lengths and lines."""

import os
import socket
import time


class Redis:
    def __init__(self, address=None):
        host, port = (address or os.environ["BROKER"]).split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        """Sends one command and returns its answer."""
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the broker has hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise RuntimeError(rest.decode())
        length = int(rest)
        if length < 0:
            return None
        if kind == b"$":
            return self.file.read(length + 2)[:-2].decode()
        return [self.read() for _ in range(length)]


def connected():
    """A connection, as soon as there is one: the broker may be away for a moment while it is replaced."""
    while True:
        try:
            return Redis()
        except OSError as error:
            print(f"waiting for the broker: {error}")
            time.sleep(1)
