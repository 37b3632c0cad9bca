#!/bin/bash
# Runs test programs, and counts.
#
#	tests/run.sh run LABEL RESULTS BUILD PROGRAM..    programs of BUILD/tests, three at a time (they mostly wait), then the demo;
#							  in /dev/shm where that can be and TMPDIR says nothing else
#	tests/run.sh fuzz RESULTS BUILD KEEP SECONDS TARGET..   fuzz targets of BUILD/tests/fuzz, all at a time
#	tests/run.sh coverage BUILD KEEP "SOURCE.." PROGRAM..   lines of the sources that these and all fuzz inputs reach
#	tests/run.sh sum RESULTS [FAILED STAGE..]         the summary of all runs; exit status 1 when anything failed
#
# A program's output stays in RESULTS/LABEL/PROGRAM and is shown when it failed. Tests are counted by Check's own line; a
# program without that line, or with a bad exit status and no failed test, counts as one failed test. A test that prints
# "SKIP name: reason" was skipped, which is a failure where $CI is set: there everything can be had. TIMES=N makes the
# time limits of the tests N times as long. A fuzz target counts as one test; the inputs that it found lie in
# KEEP/TARGET, those that made it fail in KEEP/failed. FUZZ_SEED=N has them go the same way each time.
#
# A program with an assertion that failed is run once more, alone: time limits are no match for every machine. One that
# passes then is called unsteady, now and in the summary: look at it. Crashes and sanitizers' reports get no second try,
# nor do the programs that look for what was lost, invented or left half done: there one time is one too many.
set -u -o pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)

# Tests live in memory where that can be, for most of them only wait for a disk; these do not: they need short paths or
# what a unit sees. The second list lives on a disk once, as built: file systems differ.
ON_DISK='systemd|server_netns|demo.*' ON_DISK_PLAIN='base_path|driver_dir|driver_dir_(access|manage|snapshot)|store.*'

ONCE='power_cut|crash_sweep|kill|full_disk|no_memory|no_descriptors|backend_away|long_work|store.*|driver_dir.*|events'

count_of() { # OUTPUT WORD: the number after it in Check's line, or nothing
	sed -nE "s/^[0-9]+%: .*$2: ([0-9]+).*/\1/p" "$1" | tail -n 1
}

what_failed() { # OUTPUT LINES: what Check says of the tests that failed
	grep -aE ':[FE]:|^SKIP |ERROR: |WARNING: |runtime error|Test unit written to' "$1" | tail -n "$2" | grep -a . ||
		tail -n "$2" "$1"
}

show_failure() { # OUTPUT
	local where=${1%/*}
	printf -- '---- failed: %s %s\n' "${where##*/}" "${1##*/}"
	what_failed "$1" 8
}

# What failed in short, at the end of a stage: who sees but a few lines around make's error has to find the names there.
briefly() { # RESULTS_OF_A_STAGE
	local count out failed tried
	for count in "$1"/*.count; do
		read -r _ failed _ <"$count"
		out=${count%.count} tried=failed
		[ "$failed" -gt 0 ] || { [ -e "$out.first" ] && out=$out.first tried=unsteady; } || continue
		what_failed "$out" 3 | cut -c 1-300 | sed "s|^|$tried: $(basename "$count" .count): |"
	done | sort | head -n 12
}

# A directory in memory that can do what tests ask of one: programs start there, and files have attributes of users.
# Nothing where there is none, or little room.
memory() {
	local dir room
	room=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
	[ "${room:-0}" -gt $((2 << 20)) ] && dir=$(mktemp -d -p /dev/shm 2>/dev/null) || return 0
	printf '#!/bin/sh\n' >"$dir/program" && chmod 700 "$dir/program" && "$dir/program" 2>/dev/null &&
		setfattr -n user.test -v 1 "$dir/program" 2>/dev/null && echo /dev/shm
	rm -r "$dir"
}

# One program: its output, and a line "passed failed skipped seconds" beside it.
one() {
	local out=$1 name rc=0 begin checks failed errors skipped where=()
	shift
	name=$(basename "$1")
	if [ -n "$MEMORY" ] && [[ ! ${name#test_} =~ ^($ON_DISK)$ ]] &&
		[[ $LABEL != plain || ! ${name#test_} =~ ^($ON_DISK_PLAIN)$ ]]; then
		where=(env "TMPDIR=$MEMORY")
	fi
	begin=$EPOCHREALTIME
	$RUNNER "${where[@]}" "$@" >"$out" 2>&1 </dev/null || rc=$?
	checks=$(count_of "$out" Checks)
	failed=$(count_of "$out" Failures)
	errors=$(count_of "$out" Errors)
	failed=$((${failed:-0} + ${errors:-0}))
	if [[ $name == demo*.sh ]]; then
		checks=1 failed=$((rc != 0))
	elif [ -z "$checks" ]; then
		checks=1 failed=1
	elif [ $rc -ne 0 ] && [ $failed -eq 0 ]; then
		checks=$((checks + 1)) failed=1
	fi
	skipped=$(grep -c '^SKIP ' "$out")
	if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
		[ "$failed" -ge "$skipped" ] || failed=$skipped
		skipped=0
	fi
	echo "$((checks - failed - skipped)) $failed $skipped" >"$out.count"
	[ "$failed" -eq 0 ] || { printf -- '---- %s %s: exit status %d\n' "$LABEL" "$name" $rc && cat "$out" && echo ----; }
	awk -v a="$begin" -v b="$EPOCHREALTIME" -v n="$name" -v c="$checks" -v l="$LABEL" \
		'BEGIN { printf "  TEST %s %s: %d in %.1f s\n", l, n, c, b - a }'
}

again() { # RESULTS BUILD: second tries
	local count out failed
	for count in "$1"/test_*.count; do
		read -r _ failed _ <"$count"
		out=${count%.count}
		[ "$failed" -gt 0 ] && grep -qE ':F:' "$out" || continue
		[[ ! ${out##*/test_} =~ ^($ONCE)$ ]] || continue
		! grep -qE ':E:|ERROR: |WARNING: ThreadSanitizer|runtime error' "$out" || continue
		cp "$out" "$out.first"
		one "$out" "$2/tests/${out##*/}"
		read -r _ failed _ <"$count"
		[ "$failed" -eq 0 ] || rm "$out.first"
	done
}

# One fuzz target, its seeds and dictionary lie in the source tree.
fuzz_one() { # OUTPUT TARGET BUILD KEEP SECONDS
	local out=$1 name=${2#fuzz_} rc=0 found
	[ ! -f "$here/fuzz/$name.dict" ] || set -- "$@" -dict="$here/fuzz/$name.dict"
	mkdir -p "$4/$name" "$4/failed"
	"$3/tests/fuzz/$2" -max_total_time="$5" -timeout=100 -rss_limit_mb=3000 -verbosity=1 -seed="${FUZZ_SEED:-0}" \
		-artifact_prefix="$4/failed/$name-" "${@:6}" "$4/$name" "$here/fuzz/seeds/$name" >"$out" 2>&1 </dev/null || rc=$?
	found=$(sed -nE 's/^Done ([0-9]+) runs in ([0-9]+) .*/\1 runs in \2 s/p' "$out")
	found="$found, $(sed -nE 's/^#[0-9]+.* cov: ([0-9]+) .* corp: ([0-9]+).*/\1 edges, \2 inputs/p' "$out" | tail -n 1)"
	if [ $rc -eq 0 ]; then
		echo "1 0 0" >"$out.count"
		echo "  FUZZ $name: $found"
	else
		echo "0 1 0" >"$out.count"
		printf -- '---- fuzz %s: exit status %d\n' "$name" $rc && tail -n 60 "$out" && echo ----
	fi
}

fuzz() {
	local results=$1/fuzz build keep=$3 seconds=$4 rc=0 begin=$SECONDS
	build=$(cd "$2" && pwd) || exit 1
	shift 4
	rm -rf "$results"
	mkdir -p "$results"
	TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")") || exit 1
	# Speed: what ASan remembers of each allocation is most of the time otherwise.
	export TMPDIR UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=malloc_context_size=5:quarantine_size_mb=32
	printf '%s\n' "$@" | xargs -P "${JOBS:-4}" -I{} bash "$0" fuzz_one "$results/{}" {} "$build" "$keep" "$seconds"
	rm -rf "$TMPDIR"
	printf 'fuzz: '
	add_up "$results"/*.count || rc=1
	printf 'fuzz: %d s\n' $((SECONDS - begin))
	briefly "$results"
	return $rc
}

# BUILD is made with clang's coverage, which leaves its counts in BUILD/profile. All lines together must be 90 in 100.
coverage() {
	local build=$1 keep=$2 sources=$3 program name objects=()
	shift 3
	rm -rf "$build/profile" && mkdir -p "$build/profile" && chmod 1777 "$build/profile" || exit 1
	for program; do
		TIMES=4 "$build/tests/$program" >"$build/profile/$program" 2>&1 </dev/null ||
			printf -- '---- %s failed, see %s\n' "$program" "$build/profile/$program"
		objects+=(-object "$build/tests/$program")
	done
	for program in "$build"/tests/fuzz/fuzz_*; do
		[ -x "$program" ] || continue
		name=${program##*/fuzz_}
		find "$here/fuzz/seeds/$name" "$keep/$name" -type f 2>/dev/null |
			xargs -n 200 "$program" >"$build/profile/fuzz_$name" 2>&1 ||
			printf -- '---- fuzz_%s failed, see %s\n' "$name" "$build/profile/fuzz_$name"
		objects+=(-object "$program")
	done
	llvm-profdata merge -o "$build/profile/all" "$build"/profile/*.profraw || exit 1
	# shellcheck disable=SC2086
	llvm-cov report "$build/sharesd" "${objects[@]}" -instr-profile="$build/profile/all" -show-region-summary=false \
		-show-branch-summary=false $sources 2>&1 | tee "$build/profile/report"
	awk '$1 == "TOTAL" { found = 1; exit $NF + 0 < 90 } END { if (!found) exit 1 }' "$build/profile/report"
}

add_up() { # FILES..: "P passed, F failed, S skipped"
	cat /dev/null "$@" | awk '{ p += $1; f += $2; s += $3 }
		END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }'
}

run() {
	# Check's own limit for what sets none is 4 s.
	export LABEL=$1 RUNNER='' CK_VERBOSITY=normal CK_DEFAULT_TIMEOUT=60 CK_TIMEOUT_MULTIPLIER=${TIMES:-1}
	local results=$2/$1 build rc=0 begin=$SECONDS
	build=$(cd "$3" && pwd) || exit 1
	shift 3
	export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
	# The shadow memory of older ThreadSanitizers does not stand all that a kernel may choose as addresses.
	[ "$LABEL" != tsan ] || ! setarch -R true 2>/dev/null || RUNNER="setarch -R"
	# Who asks for a directory gets that one.
	export MEMORY=
	[ -n "${TMPDIR:-}" ] || MEMORY=$(memory)
	rm -rf "$results"
	mkdir -p "$results"
	printf '%s\n' "${@/#/$build/tests/}" |
		xargs -P "${JOBS:-3}" -I{} bash "$0" one "$results" {}
	again "$results" "$build"
	one "$results/demo.sh" "$here/demo.sh" "$build"
	[ "$LABEL" != plain ] || one "$results/demo-nfs.sh" "$here/demo-nfs.sh" "$build"
	printf '%s: ' "$LABEL"
	add_up "$results"/*.count || rc=1
	printf '%s: %d s\n' "$LABEL" $((SECONDS - begin))
	briefly "$results"
	return $rc
}

sum() {
	local results=$1 label count failed status=0 notes=()
	shift
	for label; do
		compgen -G "$results/$label/*.count" >/dev/null && grep -qv ' 0 [0-9]*$' "$results/$label"/*.count && continue
		mkdir -p "$results/$label"
		echo "0 1 0" >"$results/$label/stage.count"
		notes+=("$label")
	done
	[ ${#notes[@]} -eq 0 ] || echo "failed as a whole: ${notes[*]}"
	for count in "$results"/*/*.first; do
		[ ! -e "$count" ] || echo "unsteady: passed at the second try: $(show_failure "$count")"
	done
	# Once more, and last: a long run's beginning may be out of sight.
	for count in "$results"/*/*.count; do
		read -r _ failed _ <"$count"
		[ "$failed" -eq 0 ] || [ ! -f "${count%.count}" ] || show_failure "${count%.count}"
	done
	add_up "$results"/*/*.count || status=1
	return $status
}

command=$1
shift
case $command in
run) run "$@" ;;
fuzz) fuzz "$@" ;;
fuzz_one) fuzz_one "$@" ;;
coverage) coverage "$@" ;;
sum) sum "$@" ;;
one) one "$1/$(basename "$2")" "$2" ;;
*) exit 64 ;;
esac
