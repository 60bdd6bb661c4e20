# programs.sh - sourced by the tests that run real programs: each runs once on the system's allocator
# and once with hakmem preloaded, and must not notice.
#
#   begin TOOL...                 a work folder ($work, removed at the end); bails out when a tool is missing
#   run_both SECONDS COMMAND...   both runs, in turn, in folders that have the same name while they run and
#                                 start as copies of $work/input; ends as $work/system and $work/hakmem
#   same_results                  claims: status 0, equal stdout, stderr and files
#   hakmem_was_in PROGRAM...      claims: each was started, and no process had another malloc
#   claim NAME COMMAND...         claims: the command succeeds
#   finish                        the plan, the exit status
#
# HAKMEM_LIB=FILE names the library (default build/libhakmem.so). Another allocator's shows whether the
# tests themselves work; the witness knows mimalloc.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
library=$(realpath "${HAKMEM_LIB:-$root/build/libhakmem.so}")
witness=$root/build/tests/programs/witness.so
tests=$root/tests/programs
export LC_ALL=C TZ=UTC
unset LD_PRELOAD PYTHONHOME PYTHONPATH
PATH=/usr/bin:/bin:/usr/sbin:/sbin      # Debian's programs, not what a user put before them

count=0
failures=0

result() {      # result STATUS NAME
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        failures=$((failures + 1))
    fi
}

claim() {       # claim NAME COMMAND...
    local name=$1 output status
    shift
    output=$("$@" 2>&1)
    status=$?
    result $status "$name"
    [ $status -eq 0 ] || head -n 20 <<<"$output" | sed 's/^/# /'
}

begin() {
    subject=$(basename "$0" _test)
    work=$(mktemp -d -t "hakmem-$subject.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' TERM INT HUP
    mkdir "$work/input"
    local tool
    for tool in "$library" "$witness"; do
        [ -f "$tool" ] || { echo "Bail out! $tool is not built"; exit 1; }
    done
    for tool; do
        command -v "$tool" >/dev/null || { echo "Bail out! no $tool (scripts/install-packages check)"; exit 1; }
    done
}

run_side() {    # run_side SIDE SECONDS PRELOAD COMMAND...
    local side=$1 limit=$2 preload=$3
    shift 3
    cp -a "$work/input" "$work/run"
    (cd "$work/run" &&
        HOME=$work/run PROGRAM_WITNESS=$work/$side.witness \
        exec timeout -k 5 "$limit" env ${preload:+LD_PRELOAD="$preload"} "$@") \
        </dev/null >"$work/$side.out" 2>"$work/$side.err"
    echo $? >"$work/$side.status"
    mv "$work/run" "$work/$side"
}

run_both() {    # run_both SECONDS COMMAND...
    local limit=$1
    shift
    run_side system "$limit" "" "$@"
    run_side hakmem "$limit" "$library:$witness" "$@"
}

both_succeeded() {
    [ "$(cat "$work/system.status" "$work/hakmem.status" | xargs)" = "0 0" ] && return
    echo "status: system $(cat "$work/system.status"), hakmem $(cat "$work/hakmem.status")"
    tail -n 8 "$work/system.err" "$work/hakmem.err"
    return 1
}

printed_something() { [ -s "$work/system.out" ]; }

same_results() {
    claim "${subject}_exits_with_status_0" both_succeeded
    claim "${subject}_prints_something" printed_something
    claim "${subject}_prints_the_same" diff "$work/system.out" "$work/hakmem.out"
    claim "${subject}_complains_the_same" diff "$work/system.err" "$work/hakmem.err"
    claim "${subject}_leaves_the_same_files" diff -rq --no-dereference "$work/system" "$work/hakmem"
}

was_started() { # was_started PROGRAM
    cut -d' ' -f1 "$work/hakmem.witness" | grep -qxF "$1" && return
    echo "started: $(cut -d' ' -f1 "$work/hakmem.witness" | sort | uniq -c | xargs)"
    return 1
}

every_malloc_was_ours() {
    local line
    [ -s "$work/hakmem.witness" ] || return 1
    while read -r line; do
        [ "$(realpath "${line#* }" 2>&1)" = "$library" ] || { echo "$line"; return 1; }
    done < <(sort -u "$work/hakmem.witness")
}

no_witness_without_preload() { [ ! -e "$work/system.witness" ]; }

hakmem_was_in() {
    local program
    for program in "$@"; do
        claim "${program}_ran_preloaded" was_started "$program"
    done
    claim "hakmem_was_in_every_process" every_malloc_was_ours
    claim "hakmem_was_in_no_process_of_the_other_run" no_witness_without_preload
}

finish() {
    echo "1..$count"
    [ $failures -eq 0 ]
    exit
}
