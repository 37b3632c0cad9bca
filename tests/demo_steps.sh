# How the demos are told: sourced by them, with the directory of the programs as $1. Each command is shown with what it
# prints, and each step is checked; the first that does not show what it should ends the demo. Everything lies in $place,
# which is removed at the end, after the function clean_up_more of the demo, if it has one.
# shellcheck shell=bash
set -u -o pipefail
export LC_ALL=C
unset SHARESD_SOCKET SHARESD_CALL_ID

here=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:-$here/build}" && pwd) || exit 1
PATH=$build:$PATH:/usr/sbin:/sbin
base=${TMPDIR:-/tmp}
as_nobody="setpriv --reuid=nobody --regid=nogroup --clear-groups --"
# Another user must be able to get there.
[ "$(id -u)" -ne 0 ] || $as_nobody test -x "$base" || base=/tmp
place=$(mktemp -d "$base/sharesd-demo.XXXXXX") || exit 1
daemon=
step=0
started=$SECONDS

# ---- how it is told ----

clean_up() {
	[ -z "$daemon" ] || { kill -9 "$daemon"; wait "$daemon"; } 2>/dev/null
	! declare -F clean_up_more >/dev/null || clean_up_more
	chmod -R u+rwX "$place"
	rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

fail() {
	printf '\nFAILED: %s\n' "$1" >&2
	[ ! -s "$place/log" ] || { echo "The daemon's log:" && tail -n 40 "$place/log"; } >&2
	exit 1
}

title() {
	step=$((step + 1))
	printf '\n== %d. %s\n' "$step" "$1"
}

say() {
	fmt -w 110 <<<"$*" | sed 's/^/   /'
}

# Shows a command line, runs it, and shows what it printed, cut to $width columns. The whole stays in $out, the exit status in $status.
width=150
run() {
	printf '   $ %s\n' "$1"
	out=$(cd "$place" && eval "$1" 2>&1)
	status=$?
	[ -z "$out" ] || printf '%s\n' "$out" | cut -c "1-$width" | sed 's/^/     /'
}

succeeds() {
	run "$1"
	[ "$status" -eq 0 ] || fail "\"$1\" ended with exit status $status, and should have succeeded"
}

fails_with() {
	run "$2"
	[ "$status" -eq "$1" ] || fail "\"$2\" ended with exit status $status instead of $1"
}

# The text is in what the last command printed.
shows() {
	[[ $out == *"$1"* ]] || fail "the last command did not show \"$1\""
}

hides() {
	[[ $out != *"$1"* ]] || fail "the last command showed \"$1\", and should not have"
}

# Waits until a command succeeds.
await() {
	local deadline=$((SECONDS + 10))
	until eval "$2" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "waited 10 s for $1"
		sleep 0.05
	done
}

start() {
	printf '   $ sharesd --config %s &\n' "$place/sharesd.conf"
	sharesd --config "$place/sharesd.conf" >>"$place/log" 2>&1 &
	daemon=$!
	await "the daemon to be up" "sharesctl --socket '$place/sock' status"
}
