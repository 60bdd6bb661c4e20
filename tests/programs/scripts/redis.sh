# Work for redis: a fixed data set, redis-benchmark with a background save, a restart from the dump.
# Digests of the data are printed, figures are not.
set -euo pipefail
socket=redis.sock       # in this folder: the system takes no more than 107 bytes
trap 'kill "$server" 2>/dev/null || true' EXIT

ask() { redis-cli -s "$socket" "$@"; }

# The server's binary under its own name: Debian has it in redis-tools, without a service, as redis-check-rdb.
start() {
    (exec -a redis-server redis-check-rdb --port 0 --unixsocket "$socket" --dir . --save "" --appendonly no \
        --enable-debug-command local --io-threads 2 --io-threads-do-reads yes --lazyfree-lazy-user-del yes) >>log &
    server=$!
    until [ "$(ask ping 2>/dev/null)" = PONG ]; do kill -0 "$server"; done
}

stop() {
    ask shutdown nosave
    wait "$server"
}

data_set() {
    awk 'BEGIN {
        for (i = 0; i < 30000; i++) {
            printf "SET key:%d %0*d\r\n", i, i % 700 + 1, i
            printf "APPEND text:%d %d,%d,\r\n", i % 50, i, i * 7
            printf "HSET hash:%d f%d %d g%d v%d\r\n", i % 900, i % 400, i, i % 37, i
            printf "RPUSH list:%d item%d\r\n", i % 300, i
            printf "SADD set:%d m%d\r\n", i % 200, i % 7001
            printf "ZADD sorted:%d %d member%d\r\n", i % 100, i * 31 % 5003, i
            if (i % 3 == 0) printf "XADD stream:%d %d-1 field %d\r\n", i % 40, i + 1, i
            if (i % 4 == 0) printf "DEL key:%d\r\n", i / 2
            if (i % 9 == 0) printf "LPOP list:%d 2\r\n", i % 300
        }
    }'
}

digest() { ask debug digest; }

# Holds in a file which data the server has in databases 0 and 9.
save_while_busy() {
    redis-benchmark -s "$socket" --dbnum 9 -q -n 15000 -c 40 -P 8 -r 50000 -d 400 --threads 2 \
        -t set,get,incr,lpush,rpush,lpop,sadd,hset,zpopmin,mset,lrange_300 >>benchmark &
    local load=$!
    until [ "$(ask -n 9 dbsize)" -gt 1000 ]; do kill -0 $load; done
    ask bgsave >>benchmark
    wait $load
    while ask info persistence | grep -q 'rdb_bgsave_in_progress:1'; do kill -0 "$server"; done
    ask info persistence | tr -d '\r' | grep -E '^rdb_(last_bgsave_status|saves):'
    redis-check-rdb dump.rdb | grep -cF 'RDB looks OK'
}

start
data_set | ask --pipe | tail -n 1
echo "size $(ask dbsize) digest $(digest)"
ask eval 'local n = 0 for i = 1, 2000 do n = n + #tostring(redis.call("get", "key:" .. i) or "") end return n' 0
ask sort set:7 alpha limit 0 20
ask zrange sorted:3 0 -1 withscores | sha256sum
ask xrange stream:4 - + count 30 | sha256sum
save_while_busy
busy=$(digest)
ask save
stop

start
[ "$(digest)" = "$busy" ] && echo "the reload brought everything back"
ask -n 9 flushdb async
ask unlink list:1 hash:2 set:3
echo "size $(ask dbsize) digest $(digest)"
ask debug reload
echo "size $(ask dbsize) digest $(digest)"
stop
rm -f log benchmark dump.rdb "$socket"
