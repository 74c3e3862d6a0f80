"""Brings the database to the newest schema: every file of a folder, in order, once."""

import pathlib
import sys

from database import transaction

LOCK = 7_401_977  # any number, the same for every migration of this application


def main(folder):
    files = sorted(pathlib.Path(folder).glob("*.sql"))
    with transaction() as db:
        db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        db.execute("CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())")
        db.execute("SELECT name FROM migration")
        done = {name for (name,) in db.fetchall()}
        for file in files:
            if file.name in done:
                print(f"{file.name}: done before")
                continue
            db.execute(file.read_text(encoding="utf-8"))
            db.execute("INSERT INTO migration (name) VALUES (%s)", (file.name,))
            print(f"{file.name}: done")
    print("the schema is the newest")


if __name__ == "__main__":
    main(sys.argv[1])
