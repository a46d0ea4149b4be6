#!/bin/sh
# Starts a command in the container as the user 10001, with tini as its init.
#
# As root it first gives DATA_DIR to that user, since platforms mount volumes that belong to root. Started as another
# user, as Kubernetes does with runAsNonRoot, it only starts the command.
set -eu

user=10001
data=${DATA_DIR:-/app/var}

# -s: it reaps what a killed Chrome leaves behind also where it is not the first process
set -- tini -s -- "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data"
    find "$data" ! -user "$user" -exec chown -h "$user:$user" {} +
    set -- setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
elif [ ! -w "$data" ]; then
    echo "The user $(id -u) cannot write to $data. Give the folder to this user, or start the container as root." >&2
    exit 1
fi
exec "$@"
