#!/bin/sh
# Starts PostgreSQL for Orrery: makes the cluster at the first start, gives the roles the passwords that the setup made, and
# becomes the server. The superuser has no password and signs in from inside this container alone.
set -eu

folder=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
PATH=$folder:$PATH
major=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
cluster=/var/lib/orrery/postgres/cluster
sockets=/run/postgresql

# A second server on these files would ruin them, and PostgreSQL's own lock does not reach from one container to another.
exec 9> /var/lib/orrery/postgres/lock
if ! flock --nonblock 9; then
    echo "another container's PostgreSQL works on these files" >&2
    exit 1
fi

if [ -s "$cluster/PG_VERSION" ]; then
    made_by=$(cat "$cluster/PG_VERSION")
    if [ "$made_by" != "$major" ]; then
        echo "the cluster was made by PostgreSQL $made_by, and this is $major: see 'Upgrade' in docs/operations.md" >&2
        exit 1
    fi
else
    # What an interrupted start left is no cluster.
    rm -rf "$cluster" "$cluster.new"
    initdb --encoding=UTF8 --locale=C.UTF-8 --data-checksums --auth=peer --username=postgres --pgdata "$cluster.new"
    mv "$cluster.new" "$cluster"
fi
# A server that was killed leaves it behind, and every server of this container has the same number.
rm -f "$cluster/postmaster.pid"

prepare() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --host "$sockets" --username postgres \
        --set owner="$(cat /secrets/postgres/owner.password)" \
        --set projector="$(cat /secrets/postgres/projector.password)" \
        --set api="$(cat /secrets/postgres/api.password)" \
        --dbname postgres --file /usr/share/orrery/roles.sql
}

# First without a network: nobody comes before the roles are as they should be. After a crash this is where it recovers, which may
# take long.
pg_ctl --pgdata "$cluster" --wait --timeout 86400 --silent --log /dev/null --options "-c listen_addresses= -k $sockets" start
if ! prepare; then
    pg_ctl --pgdata "$cluster" --silent --mode immediate stop
    exit 1
fi
pg_ctl --pgdata "$cluster" --wait --silent --mode fast stop

exec postgres -D "$cluster" -c listen_addresses='*' -k "$sockets" -c hba_file=/usr/share/orrery/pg_hba.conf "$@"
