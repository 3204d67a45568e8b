#!/bin/sh
# Runs PostgreSQL as Debian's packages or the official image have it, with a role and a database for each domain.
set -eu
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
export PGDATA=/data/pgdata PGHOST=/tmp

password() { cat "/passwords/$1"; }

if [ ! -d "$PGDATA" ]; then
    # What an interrupted start left is no cluster yet.
    rm -rf "$PGDATA.new"
    initdb --pgdata="$PGDATA.new" --username=postgres --pwfile=/passwords/postgres --auth-local=trust \
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C
    echo 'host all all all scram-sha-256' >>"$PGDATA.new/pg_hba.conf"
    mv "$PGDATA.new" "$PGDATA"
fi
# The lock of a server that was killed: nobody else has this volume.
rm -f "$PGDATA/postmaster.pid"

# The roles and databases first, with no door but this pod's.
pg_ctl start --wait --options="-c listen_addresses='' -c unix_socket_directories=/tmp"
for file in /passwords/*; do
    domain=${file##*/}
    [ "$domain" = postgres ] && continue
    psql --quiet --username=postgres --set=ON_ERROR_STOP=1 --set=domain="$domain" --set=password="$(password "$domain")" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'domain') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'domain') \gexec
ALTER ROLE :"domain" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'domain', :'domain') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'domain') \gexec
SQL
done
pg_ctl stop --wait --mode=fast

# Two domains of a few replicas each.
postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=300 &
# A pod is told SIGTERM, at which PostgreSQL waits for its clients to leave; SIGINT sends them away.
trap 'kill -INT $!' TERM INT
wait $! || wait $!
