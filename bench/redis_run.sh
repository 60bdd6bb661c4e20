#!/bin/sh
# redis_run.sh - a redis server under redis-benchmark, for one row of the benchmark.
#
#     bench/redis_run.sh REQUESTS [KEYS]
#
# Prints "N operations per second": REQUESTS requests of each of seven kinds, over KEYS random keys (default 20,000),
# by ten clients that send sixteen at a time. redis-benchmark takes no seed; the requests are so many that every
# run has nearly the same work.
#
# This process becomes the server, so that whoever measures it measures the server's time and memory. The client is a
# child that the server never waits for, so it is not counted; it runs without the preloaded library.
#
# The client ends the server by a signal, and removes the folder of the socket before: whoever measures may kill what is
# left of the process group as soon as the server has ended. Only a server that is killed leaves its folder behind.
#
# Debian links redis with jemalloc. When nothing is preloaded the C library itself is, so that its allocator serves.
set -eu

[ $# -eq 1 ] || [ $# -eq 2 ] || { echo "usage: redis_run.sh REQUESTS [KEYS]" >&2; exit 2; }
requests=$1
keys=${2:-20000}
kinds=set,get,incr,lpush,lpop,sadd,hset
kind_count=7

fail() {
    echo "error: $1" >&2
    exit "${2-1}"
}

is_number() {
    case $1 in '' | 0* | *[!0-9]*) return 1 ;; esac
}

is_number "$requests" || fail "REQUESTS is '$requests', must be a number from 1" 2
is_number "$keys" || fail "KEYS is '$keys', must be a number from 1" 2

preload=${LD_PRELOAD-}
unset LD_PRELOAD # the tools below need none

# Debian keeps the server's binary in redis-tools, under this name; it becomes what it is called.
server=$(command -v redis-check-rdb || command -v redis-server) ||
    fail "redis is missing: apt-get install redis-tools" 127
for tool in redis-benchmark redis-cli; do
    command -v $tool >/dev/null || fail "$tool is missing: apt-get install redis-tools" 127
done
[ -n "$preload" ] || preload=$(ldd "$server" | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')
[ -n "$preload" ] || fail "the C library of $server was not found"

folder=$(mktemp -d)
socket=$folder/socket
ln -s "$server" "$folder/redis-server"

ask() {
    redis-cli -s "$socket" "$@" 2>/dev/null
}

await_server() {
    tries=0
    until [ "$(ask ping)" = PONG ]; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || fail "redis-server does not answer"
        sleep 0.01
    done
}

# Prints the rate only when every kind of request has a line of its own, and the server still answers.
use_server() {
    await_server
    begin=$(date +%s%N)
    lines=$(redis-benchmark -s "$socket" --csv -n "$requests" -r "$keys" -d 200 -c 10 -P 16 -t $kinds) ||
        fail "redis-benchmark failed"
    end=$(date +%s%N)
    [ "$(echo "$lines" | grep -c '^"[A-Z]')" -eq $kind_count ] || fail "redis-benchmark said: $lines"
    [ "$(ask ping)" = PONG ] || fail "redis-server has gone"
    echo "redis: $((requests * kind_count * 1000000000 / (end - begin))) operations per second"
}

# The client. Whatever came out, it ends the server, which has the number of this shell.
(
    (use_server) || true
    rm -r "$folder"
    kill -TERM $$
) &

LD_PRELOAD=$preload
export LD_PRELOAD
exec "$folder/redis-server" --port 0 --unixsocket "$socket" --dir "$folder" --save "" --appendonly no \
    --loglevel warning --logfile "$folder/log"
