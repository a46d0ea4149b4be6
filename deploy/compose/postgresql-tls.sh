#!/bin/sh
# Gives a new PostgreSQL a key, a certificate by itself, and TLS for every connection that is no Unix socket.
#
# The image of PostgreSQL runs it once, when it makes an empty data folder (/docker-entrypoint-initdb.d). The key never
# leaves that folder. Remove the certificate and run it again to replace both.
set -eu

host=${POSTGRES_TLS_HOST:-database}

umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -config /dev/null \
    -subj "/CN=$host" -addext "subjectAltName=DNS:$host" -keyout "$PGDATA/server.key" -out "$PGDATA/server.crt" 2>/dev/null
echo "ssl = on" >> "$PGDATA/postgresql.conf"
sed -i 's/^host\([[:space:]]\)/hostssl\1/' "$PGDATA/pg_hba.conf"
