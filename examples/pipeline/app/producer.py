"""Puts numbers to be factored on the list of jobs."""

import os
import random
import signal
import sys
import time

from redis import connected


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pause = 1 / float(os.environ.get("JOBS_PER_SECOND", "5"))
    redis = connected()
    print(f"a job every {pause:.3f} s")
    while True:
        try:
            redis("LPUSH", "jobs", random.randrange(10**9, 10**12))
            redis("INCR", "produced")
        except OSError:
            redis = connected()
        time.sleep(pause)


if __name__ == "__main__":
    main()
