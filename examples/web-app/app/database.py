"""The connection to the database, configured by the environment."""

import os
from contextlib import contextmanager

import psycopg2


@contextmanager
def transaction():
    """One connection, one transaction: committed at the end, rolled back on an error, closed in any case."""
    with open(os.environ["DB_PASSWORD_FILE"], encoding="utf-8") as file:
        password = file.read().strip()
    connection = psycopg2.connect(
        host=os.environ["DB_HOST"],
        dbname=os.environ["DB_NAME"],
        user=os.environ["DB_USER"],
        password=password,
        connect_timeout=3,
    )
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
