#!/bin/bash
# A walk through sharesd with NFS: a btrfs on a loop device, an NFS-Ganesha that sharesd runs, and two clients with
# addresses of their own. Root only; all of it lies in a network and a mount namespace that end with the demo.
#
#	tests/demo-nfs.sh [DIRECTORY WITH THE PROGRAMS]
if [ "$(id -u)" -ne 0 ]; then
	echo "SKIP demo-nfs: needs root, for mounts and networks"
	exit 0
fi
[ -n "${DEMO_NFS:-}" ] || DEMO_NFS=1 exec unshare --net --mount --propagation private "$0" "$@"
unset DEMO_NFS
clients=()

clean_up_more() {
	local server
	for server in ganesha dbus; do
		[ ! -s "$place/run/ganesha/$server.pid" ] || kill -9 "$(cut -d ' ' -f 1 "$place/run/ganesha/$server.pid")"
	done
	[ ${#clients[@]} -eq 0 ] || kill "${clients[@]}"
	umount -l "$place"/run/exports/*/* "$place/pool"
} 2>/dev/null

. "$(dirname "$0")/demo_steps.sh"

# A client NAME at 10.99.N.2, which sees this host as 10.99.N.1: its commands are run by the function NAME.
client() { # NAME N
	local pid
	unshare --net sleep 1000 &
	pid=$!
	clients+=("$pid")
	await "a network" "[ \$(readlink /proc/$pid/ns/net) != \$(readlink /proc/self/ns/net) ]"
	ip link add "s$2" type veth peer name c netns "$pid" && ip addr add "10.99.$2.1/24" dev "s$2" && ip link set "s$2" up &&
		nsenter -t "$pid" -n ip addr add "10.99.$2.2/24" dev c && nsenter -t "$pid" -n ip link set c up ||
		fail "no network could be made for a client"
	eval "$1() { nsenter -t $pid -n \"\$@\"; }"
}

# ---- the walk ----

title "A pool, two clients, and a conf file"
chmod 0755 "$place"
mkdir "$place/pool" "$place/hooks"
install -m 0755 "$here/hooks/examples/policy" "$place/hooks"
ip link set lo up
client ann 1
client ben 2
say "ann is a machine with the address 10.99.1.2, ben one with 10.99.2.2; to them this host is nas1, 10.99.1.1 and" \
    "10.99.2.1. The pool is a btrfs on a loop device."
succeeds "truncate -s 1G pool.img && mkfs.btrfs -q pool.img >mkfs.log 2>&1 && mount -o loop pool.img pool && btrfs quota enable pool"
mkdir "$place/pool/shares"
cat >"$place/sharesd.conf" <<END
state_dir   = "$place/state"
socket      = "$place/sock"
runtime_dir = "$place/run"
export_addresses     = {"nas1"}
ganesha_grace_period = 0                # clients of a demo need no time to come back

hook "policy" {
    run     = "exec:$place/hooks/policy"
    phases  = {"pre"}
    methods = {"create_share_instance", "extend_share"}
    options = {"max_size=64MiB"}
}
btrfs "pool" {
    root             = "$place/pool/shares"
    export           = {"ganesha"}
    default_mode     = "0777"
    hook_drivers     = {"policy"}
    enable_pre_hooks = true
}
END
succeeds "cat sharesd.conf"
start
export SHARESD_SOCKET=$place/sock
succeeds "sharesctl status"
shows well

title "A share, as large as a hook allows, which nobody reaches yet"
fails_with 17 "sharesctl share create photos --backend pool --proto NFS --size 128MiB"
shows "64MiB at most"
succeeds "sharesctl share create photos --backend pool --proto NFS --size 32MiB | grep -E '^(name|size|status|share_proto| .*nas1)'"
succeeds "sharesctl share list"
shows "nas1:/photos"
run "ann nfs-ls 'nfs://10.99.1.1/photos?version=4'"
[ "$status" -ne 0 ] || fail "ann could list the share without a rule"
shows NFS4ERR_NOENT

title "A rule lets ann in, to read; ben stays outside"
echo "the first day" >"$place/pool/shares/photos/data/day.txt"
succeeds "sharesctl access allow photos ip 10.99.1.2 --level ro | grep -E '^(access_to|access_level|state):'"
shows active
succeeds "ann nfs-cat 'nfs://10.99.1.1/photos/day.txt?version=4'"
shows "the first day"
fails_with 10 "ann nfs-cp sharesd.conf 'nfs://10.99.1.1/photos/ann.txt?version=4'"
shows NFS4ERR_ROFS
run "ben nfs-ls 'nfs://10.99.2.1/photos?version=4'"
[ "$status" -ne 0 ] || fail "ben could list the share without a rule"

title "Everybody may read; of two rules the most specific one counts, and ann may write"
succeeds "sharesctl access allow photos ip 10.99.0.0/16 --level ro >/dev/null"
id=$(sharesctl access list photos --json | jq -r '.access_rules[] | select(.access_to == "10.99.1.2") | .id')
succeeds "sharesctl access update photos $id --level rw | grep -E '^(name|status|access_rules_status):'"
succeeds "sharesctl access list photos"
succeeds "ann nfs-cp sharesd.conf 'nfs://10.99.1.1/photos/ann.txt?version=4'"
succeeds "ben nfs-ls 'nfs://10.99.2.1/photos?version=4'"
shows ann.txt
fails_with 10 "ben nfs-cp sharesd.conf 'nfs://10.99.2.1/photos/ben.txt?version=4'"

title "The size holds"
run "dd if=/dev/zero of=pool/shares/photos/data/big bs=1M count=64"
shows "Disk quota exceeded"
succeeds "rm pool/shares/photos/data/big"

title "A snapshot, a mistake, and the way back, under the eyes of the clients"
succeeds "sharesctl snapshot create photos@monday | grep -E '^(name|status):'"
succeeds "echo 'a mistake' >pool/shares/photos/data/day.txt"
succeeds "ben nfs-cat 'nfs://10.99.2.1/photos/day.txt?version=4'"
shows "a mistake"
succeeds "sharesctl share revert photos@monday | grep -E '^(name|status):'"
succeeds "ben nfs-cat 'nfs://10.99.2.1/photos/day.txt?version=4'"
shows "the first day"

title "kill -9 of the daemon: the clients notice nothing"
ganesha=$(cut -d ' ' -f 1 "$place/run/ganesha/ganesha.pid")
printf '   $ kill -9 %s\n' "$daemon"
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
daemon=
succeeds "ann nfs-cat 'nfs://10.99.1.1/photos/day.txt?version=4'"
start
[ "$(cut -d ' ' -f 1 "$place/run/ganesha/ganesha.pid")" = "$ganesha" ] || fail "the NFS server was not taken over"

title "kill -9 of the NFS server: it is started again, with every rule in force"
succeeds "kill -9 $ganesha"
await "another NFS server" "[ \"\$(cut -d ' ' -f 1 $place/run/ganesha/ganesha.pid)\" != $ganesha ] && sharesctl status"
succeeds "ann nfs-cat 'nfs://10.99.1.1/photos/day.txt?version=4'"
shows "the first day"
fails_with 10 "ben nfs-cp sharesd.conf 'nfs://10.99.2.1/photos/ben.txt?version=4'"
succeeds "sharesctl calls | head -n 5"

title "All is deleted, and the daemon stops"
succeeds "sharesctl snapshot delete photos@monday --yes"
succeeds "sharesctl share delete photos --yes"
run "ann nfs-ls 'nfs://10.99.1.1/photos?version=4'"
[ "$status" -ne 0 ] || fail "ann could list a share that was deleted"
succeeds "ls pool/shares"
hides photos
kill "$daemon"
wait "$daemon"
status=$?
daemon=
[ $status -eq 0 ] || fail "the daemon ended with exit status $status"

printf '\nThe demo went as it should: %d steps in %d s.\n' "$step" $((SECONDS - started))
