#!/bin/bash
# A walk through sharesd in a temporary place: each command is shown with what it prints, and each step is checked. The
# exit status is 0 when everything showed what it should. As root it also tries the access rules as another user.
#
#	tests/demo.sh [DIRECTORY WITH THE PROGRAMS]
. "$(dirname "$0")/demo_steps.sh"

# ---- the walk ----

title "A place, a conf file, and hooks"
chmod 0755 "$place"
mkdir "$place/media" "$place/hooks" "$place/hooks/report"
install -m 0755 "$here/hooks/examples/policy" "$here/hooks/examples/add-location" "$place/hooks"
cat >"$place/hooks/report/periodic" <<END
#!/bin/sh
# One line a share: who may use it.
jq -r '.periodic_hook_data[] | "\(.name): \([.access_rules[] | "\(.access_to) (\(.access_level))"] | join(", "))"' >$place/report.new
mv $place/report.new $place/report.txt
END
chmod 0755 "$place/hooks/report/periodic"
cat >"$place/sharesd.conf" <<END
state_dir = "$place/state"
socket    = "$place/sock"

hook "policy" {                       # may say no before a call
    run     = "exec:$place/hooks/policy"
    phases  = {"pre"}
    methods = {"create_share_instance", "extend_share"}
    options = {"max_size=50MiB"}
}
hook "add-location" {                 # may change the result after a call
    run     = "exec:$place/hooks/add-location"
    phases  = {"post"}
    methods = {"create_share_instance"}
    options = {"dns_name=files.example.org"}
}
dir "media" {                         # a backend: directories below a root
    root                    = "$place/media"
    hook_drivers            = {"policy", "add-location", "exec:$place/hooks/report"}
    enable_pre_hooks        = true
    enable_post_hooks       = true
    enable_periodic_hooks   = true
    periodic_hooks_interval = 0.5
}
END
say "Everything lies in $place and is removed at the end. The conf file has one backend, of the driver \"dir\"," \
    "and three hooks: programs that sharesd runs around each call of the driver."
succeeds "cat sharesd.conf"
succeeds "sharesd --config $place/sharesd.conf --check-config"
start
export SHARESD_SOCKET=$place/sock
say "(SHARESD_SOCKET=$place/sock tells sharesctl where to ask.)"
succeeds "sharesctl status"
shows well

title "A share is made, and a file is written into it"
succeeds "sharesctl share create photos --backend media --size 10MiB --mode 0775 | grep -E '^(name|size|status|warn| .*size)'"
shows "size is not enforced"
succeeds "echo 'the first day' >media/photos/data/day.txt"
succeeds "sharesctl share list"
shows photos

title "A hook changed the result: \"add-location\" put a DNS name before the driver's own path"
succeeds "sharesctl share show photos --json | jq -c '.export_locations[] | {path, preferred}'"
shows "files.example.org:$place/media/photos/data"

title "A hook says no: \"policy\" allows 50 MiB at most, and nothing is left of the call"
fails_with 17 "sharesctl share create films --backend media --size 60MiB"
shows "50MiB at most"
succeeds "sharesctl share list"
hides films
[ ! -e "$place/media/films" ] || fail "the vetoed share lies on the backend"

title "A snapshot, a clone made from it, and the way back"
succeeds "sharesctl snapshot create photos@monday | grep -E '^(name|status):'"
succeeds "sharesctl share create clone --snapshot photos@monday | grep -E '^(name|status):'"
succeeds "cat media/clone/data/day.txt"
shows "the first day"
succeeds "echo 'a mistake' >media/photos/data/day.txt"
succeeds "sharesctl share revert photos@monday | grep -E '^(name|status):'"
succeeds "cat media/photos/data/day.txt"
shows "the first day"

title "Access: nobody but root and the daemon's own user gets in until a rule says so"
if [ "$(id -u)" -eq 0 ]; then
	fails_with 1 "$as_nobody cat media/photos/data/day.txt"
	shows "Permission denied"
	succeeds "sharesctl access allow photos user nobody | grep -E '^(access_to|access_level|state):'"
	shows active
	succeeds "$as_nobody cat media/photos/data/day.txt"
	shows "the first day"
	fails_with 1 "$as_nobody cat media/clone/data/day.txt"
	succeeds "sharesctl access deny photos user nobody"
	fails_with 1 "$as_nobody cat media/photos/data/day.txt"
	shows "Permission denied"
	say "To ask sharesd for anything a user needs a role, by being root, the daemon's user, or in a group of the conf file:"
	cp "$build/sharesctl" "$place"
	fails_with 13 "$as_nobody ./sharesctl share list"
else
	say "(Not run as root, so it is not tried as another user. The rule is in the ACL of the gate before the share.)"
	succeeds "getfacl -cp media/photos"
	hides "user:nobody"
fi
succeeds "sharesctl access allow photos user nobody | grep -E '^(access_to|access_level|state):'"
shows active
succeeds "sharesctl access list photos"
succeeds "getfacl -cp media/photos"
shows "user:nobody:--x"

title "The periodic hook reports the shares with their access rules, here each half second"
rm -f "$place/report.txt"
await "the periodic report" "grep -q 'photos: nobody (rw)' '$place/report.txt'"
succeeds "cat report.txt"
shows "clone:"

title "The same by one line of JSON: the socket speaks JSON-RPC 2.0"
line='{"jsonrpc":"2.0","id":1,"method":"extend_share","params":{"share":"photos","size_bytes":15728640}}'
succeeds "echo '$line' | socat - UNIX-CONNECT:sock"
[ "$(jq .result.size_bytes <<<"$out")" = 15728640 ] || fail "the share did not get its new size"
line='{"jsonrpc":"2.0","id":2,"method":"extend_share","params":{"share":"photos","size_bytes":99999999}}'
succeeds "echo '$line' | socat - UNIX-CONNECT:sock | jq -c '.error | {code, message, kind: .data.kind, hook: .data.hook}'"
shows '"kind":"vetoed"'

title "kill -9 and a new start: nothing is lost"
snapshot="sharesctl share list --json; sharesctl snapshot list --json; sharesctl access list photos --json"
before=$(eval "$snapshot") || fail "the lists could not be read"
printf '   $ kill -9 %s\n' "$daemon"
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
start
succeeds "sharesctl share list; sharesctl snapshot list; sharesctl access list photos"
[ "$(eval "$snapshot")" = "$before" ] || fail "the shares, snapshots and rules are not what they were before"
say "(Shares, snapshots and access rules are equal to those before, to the last byte of their JSON.)"

title "All is deleted, and the daemon stops"
fails_with 6 "sharesctl share delete photos --yes"
succeeds "sharesctl snapshot delete photos@monday --yes"
succeeds "sharesctl share delete photos --yes"
succeeds "sharesctl share delete clone --yes"
succeeds "sharesctl share list"
hides photos
succeeds "sharesctl calls"
shows vetoed
kill "$daemon"
wait "$daemon"
status=$?
daemon=
[ $status -eq 0 ] || fail "the daemon ended with exit status $status"

printf '\nThe demo went as it should: %d steps in %d s.\n' "$step" $((SECONDS - started))
