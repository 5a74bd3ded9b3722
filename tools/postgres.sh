#!/usr/bin/env bash
# Runs a PostgreSQL for one directory: tools/postgres.sh up|down DIR. It touches no other server of this machine.
set -euo pipefail

usage() { echo "usage: tools/postgres.sh up|down DIR" >&2; exit 2; }
[[ $# -eq 2 ]] || usage
mkdir -p "$2"
dir=$(cd "$2" && pwd)

bin=$(pg_config --bindir 2>/dev/null || true)
for candidate in "$bin" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v postgres || true)")"; do
	if [[ -x $candidate/initdb && -x $candidate/postgres ]]; then bin=$candidate; break; fi
	bin=
done
[[ -n $bin ]] || { echo "There is no PostgreSQL here: make postgres installs it." >&2; exit 1; }

# PostgreSQL refuses to run as root: the user of its package does instead, and must get there.
as_owner() { "$@"; }
if [[ $(id -u) -eq 0 ]]; then
	owner=postgres
	id "$owner" >/dev/null 2>&1 || owner=nobody
	chown "$owner" "$dir"
	as_owner() { (cd / && runuser -u "$owner" -- "$@"); }
	as_owner test -x "$dir" || { echo "The user $owner cannot get to $dir: choose another directory, by POSTGRES_DIR=/var/tmp/skein-postgres." >&2; exit 1; }
fi
control() { as_owner "$bin/pg_ctl" --pgdata "$dir/data" --silent --wait "$@"; }

up() {
	if [[ ! -e $dir/data/PG_VERSION ]]; then
		echo "Making a database in $dir ..." >&2
		(umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'ab' >"$dir/password")
		# A port below those that outgoing connections take.
		echo $((20000 + RANDOM % 10000)) >"$dir/port"
		[[ $(id -u) -ne 0 ]] || chown "$owner" "$dir/password" "$dir/port"
		as_owner "$bin/initdb" --pgdata "$dir/data" --username skein --pwfile "$dir/password" --auth scram-sha-256 \
			--encoding UTF8 --no-locale --no-instructions >/dev/null
	fi
	if control status >/dev/null 2>&1; then
		echo "PostgreSQL is up already."
	else
		# Its socket's path would be too long in some directories; the port is enough.
		control start --log "$dir/log" --options "-h 127.0.0.1 -p $(cat "$dir/port") -c unix_socket_directories=''" ||
			{ echo "It does not start; $dir/log ends with:" >&2; tail -n 5 "$dir/log" >&2; exit 1; }
		echo "PostgreSQL $(cat "$dir/data/PG_VERSION") is up."
	fi
	cat <<-END

	  bin/skein up --store postgres://skein:$(cat "$dir/password")@127.0.0.1:$(cat "$dir/port")/postgres

	Its data and log are in $dir.
	END
}

down() {
	if [[ -e $dir/data/PG_VERSION ]] && control status >/dev/null 2>&1; then
		control stop --mode fast
		echo "PostgreSQL is down. What it holds stays in $dir."
	else
		echo "No PostgreSQL runs in $dir."
	fi
}

case $1 in up) up ;; down) down ;; *) usage ;; esac
