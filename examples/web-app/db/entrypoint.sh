#!/bin/sh
# Makes the cluster, its user and its database when the volume is empty, then becomes the server.
set -eu

# A secret belongs to root: read it before becoming the server's user.
if [ "$(id -u)" = 0 ]; then
  POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  export POSTGRES_PASSWORD
  chown postgres:postgres "$PGDATA"
  chmod 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups sh "$0"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb -D "$PGDATA" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  # Without a port nobody meets a half-made database: the health check asks by TCP.
  pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
  psql -v ON_ERROR_STOP=1 -d postgres \
    -v user="$POSTGRES_USER" -v password="$POSTGRES_PASSWORD" -v db="$POSTGRES_DB" <<'SQL'
CREATE ROLE :"user" LOGIN PASSWORD :'password';
CREATE DATABASE :"db" OWNER :"user";
SQL
  pg_ctl -D "$PGDATA" -w -m fast stop
fi

unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*'
