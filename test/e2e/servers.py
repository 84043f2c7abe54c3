"""servers.py - redis and PostgreSQL: several processes, fork under writes, shared memory.

Each is one bash script that starts the server, works with it through a Unix socket in the working
directory, checks what came out and ends it. The scripts print nothing that varies.

SPDX-License-Identifier: MIT
"""
import glob
import os

from harness import program, Skip

REDIS = r'''
set -e
here=$PWD
server() {
    redis-server --port 0 --unixsocket $here/s --dir $here --save '' --appendonly no \
        --daemonize no --logfile $here/log --enable-debug-command yes "$@" &
    pid=$!
    for i in $(seq 600); do redis-cli -s $here/s ping >/dev/null 2>&1 && break; sleep 0.05; done
}
cli() { redis-cli -s $here/s "$@"; }
sum='local s = 0
for i = 1, 60000 do
  local v = redis.call("GET", "key:" .. i)
  if not v then return "missing " .. i end
  s = (s * 31 + #v + string.byte(v, 5) + i) % 1000000007
end
return tostring(s)'
server
cli eval 'for i = 1, 60000 do
  redis.call("SET", "key:" .. i, "val-" .. (i * 7919 % 100003) .. string.rep("x", i % 200)) end
  for i = 1, 20000 do redis.call("HSET", "h" .. (i % 100), "f" .. i, i) end
  return redis.call("DBSIZE")' 0
cli eval "$sum" 0
before=$(cli debug digest)
# Writes to database 1 go on while the child saves both.
redis-benchmark -s $here/s --dbnum 1 -q -n 20000 -r 5000 -d 300 -c 20 -t set,lpush,incr >bench.log &
load=$!
cli bgsave
for i in $(seq 1200); do
    cli info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
    sleep 0.05
done
cli info persistence | grep -o 'rdb_last_bgsave_status:[a-z]*'
wait $load
echo "benchmark: $?"
tr '\r' '\n' <bench.log | grep -c 'requests per second' || true
cli -n 1 flushdb
after=$(cli debug digest)
[ "$before" = "$after" ] && echo 'database 0 unchanged'
cli eval "$sum" 0
cli shutdown nosave || true
wait $pid || true
redis-check-rdb dump.rdb | grep -o 'RDB looks OK' || true
server --dbfilename dump.rdb
cli eval "$sum" 0
cli -n 1 flushdb
[ "$before" = "$(cli debug digest)" ] && echo 'the saved file holds the same'
cli shutdown nosave || true
wait $pid || true
'''

POSTGRES = r'''
set -e
here=$PWD
bin=%s
export PGDATA=$here/data PGHOST=$here PGUSER=test PGDATABASE=postgres
$bin/initdb -A trust -U test --no-sync -E UTF8 --locale=C >initdb.log ||
    { tail initdb.log; exit 9; }
$bin/pg_ctl -w -s -t 120 -l $here/log -o "-F -c listen_addresses= -k $here
    -c shared_buffers=24MB -c max_connections=12 -c autovacuum=off -c max_wal_size=128MB" start
$bin/pgbench -i -q -s 2 >pgbench.log 2>&1
$bin/pgbench -n -c 4 -j 2 -t 150 >>pgbench.log 2>&1
grep -o 'transactions actually processed: 600/600' pgbench.log
$bin/psql -At <<'EOF'
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history);
SELECT (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches);
SELECT count(*) FROM pgbench_accounts;
SELECT count(*) FROM pgbench_history;
CREATE TABLE t AS SELECT i, md5(i::text) AS m, i %% 1000 AS g FROM generate_series(1, 60000) i;
SELECT md5(string_agg(m, ',' ORDER BY m)) FROM t;
SELECT g, count(*), min(m) FROM t GROUP BY g ORDER BY min(m) LIMIT 5;
CREATE INDEX ON t(m);
SET enable_seqscan = off;
SELECT i FROM t WHERE m = md5('4711');
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET enable_seqscan = on;
SELECT count(*), sum(length(a.m)) FROM t a JOIN t b ON a.m = b.m;
EOF
$bin/pg_ctl -w -s -t 120 -m fast stop
'''


@program('redis', timeout=150, multi=True, quick=(1.5, 0.5))
def redis(bench):
    """redis-server, redis-benchmark, BGSAVE under writes, and the saved file loaded again"""
    bench.need('redis-server', 'redis-cli', 'redis-benchmark')
    return ['/bin/bash', bench.write('redis.sh', REDIS)]


@program('postgres', timeout=240, multi=True)
def postgres(bench):
    """PostgreSQL as an unprivileged user: initdb, pgbench, queries, parallel workers"""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb'))
    if not found:
        raise Skip('no PostgreSQL here')
    script = ['/bin/bash', bench.write('postgres.sh', POSTGRES % os.path.dirname(found[-1]))]
    if os.getuid() == 0:
        return ['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *script]
    return script
