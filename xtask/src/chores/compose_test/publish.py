# A publisher, in the fewest words that NATS needs: greet, go over to TLS, sign in, publish, ask what became of it.
import json
import socket
import ssl
import sys

address, authority, user, password, command_id, command = sys.argv[1:]
plain = socket.create_connection((address, 4222), 10)
greeting = b""
while not greeting.endswith(b"\r\n"):
    greeting += plain.recv(1)
broker = ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname="nats")
broker.settimeout(70)
lines = broker.makefile("rwb")


def say(text):
    lines.write(text.encode())
    lines.flush()


def ask(subject, payload, number):
    inbox = f"_INBOX.{user}.{number}"
    say(f"SUB {inbox} {number}\r\nPUB {subject} {inbox} {len(payload.encode())}\r\n{payload}\r\n")
    while True:
        line = lines.readline().decode()
        if line.startswith("PING"):
            say("PONG\r\n")
        elif line.startswith("MSG"):
            answer = lines.read(int(line.split()[-1]) + 2)
            return json.loads(answer)
        elif line.startswith("-ERR") or not line:
            sys.exit(f"the broker said: {line}")


say("CONNECT " + json.dumps({"verbose": False, "user": user, "pass": password, "tls_required": True}) + "\r\n")
acknowledged = ask(f"orrery.commands.{command_id}", command, 1)
if "seq" not in acknowledged:
    sys.exit(f"refused: {acknowledged}")
print(json.dumps(ask("orrery.status", json.dumps({"id": command_id, "wait": "60s"}), 2)))
