"""Factors numbers: takes a job over, does it, stores the result and removes the job in one transaction."""

import signal
import socket

from redis import connected

NAME = socket.gethostname()
stopping = False


def stop(*_):
    global stopping
    stopping = True


def factors(number):
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found + [number] if number > 1 else found


def ready(mine):
    """A connection; what was taken over and not done, before the connection broke, goes back to the list."""
    redis = connected()
    while redis("LMOVE", mine, "jobs", "LEFT", "RIGHT") is not None:
        pass
    return redis


def main():
    signal.signal(signal.SIGTERM, stop)
    mine = f"doing:{NAME}"
    redis = ready(mine)
    print(f"{NAME} is ready")
    while not stopping:
        try:
            job = redis("BLMOVE", "jobs", mine, "RIGHT", "LEFT", 1)
            if job is None:
                continue
            result = f"{job} = {' · '.join(map(str, factors(int(job))))} (by {NAME})"
            redis("MULTI")
            redis("LPUSH", "results", result)
            redis("LTRIM", "results", 0, 19)
            redis("INCR", "done")
            redis("HINCRBY", "done-by", NAME, 1)
            redis("LREM", mine, 1, job)
            redis("EXEC")
        except OSError:
            redis = ready(mine)
    print(f"{NAME} has stopped between two jobs")


if __name__ == "__main__":
    main()
