"""programs.py - everyday programs: interpreters, databases, compilers, pipelines, threads.

SPDX-License-Identifier: MIT
"""
import os
import shutil

from harness import PYTHON, program, Skip

PYTHON_DICT = '''
import sys
words = {}
state = 12345
for i in range(250000):
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    words["key-%d-%x" % (i, state >> 40)] = (i, state % 1000)
keys = list(words)
total = 0
for i in range(400000):     # near each other for a while, as real queries are, and some anywhere
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    at = i // 2 if i % 200 else (state >> 20) % len(keys)
    total += words[keys[(at + (state >> 33) % 1000) % len(keys)]][1]
print(len(words), total)
for i in range(0, len(keys), 2):
    del words[keys[i]]
groups = {}
for key, (i, n) in words.items():
    groups.setdefault(n, []).append(key)
print(len(words), len(groups), max(len(g) for g in groups.values()))
print(sorted(groups[7])[:3])
sys.exit(3)
'''

SQL = '''
PRAGMA temp_store=memory;
CREATE TABLE item(id INTEGER PRIMARY KEY, shop INT, price INT, name TEXT);
CREATE TABLE shop(id INTEGER PRIMARY KEY, town TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 250000)
  INSERT INTO item SELECT i, (i * 7919) % 5003, (i * 104729) % 99991, 'item number ' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 5002)
  INSERT INTO shop SELECT i, 'town ' || (i % 97) FROM n;
CREATE INDEX by_shop ON item(shop);
SELECT id, price, name FROM item ORDER BY price DESC, name LIMIT 10 OFFSET 100000;
SELECT town, count(*), sum(price), max(name) FROM item JOIN shop ON shop.id = item.shop
  GROUP BY town ORDER BY sum(price) DESC LIMIT 20;
SELECT count(*), sum(a.price - b.price) FROM item a JOIN item b ON a.id = b.id + 1
  WHERE a.price > b.price;
SELECT count(*), sum(length(name)) FROM item;
'''

NODE = '''
let state = 1;
function random() { state = (state * 48271) % 2147483647; return state; }
const objects = [];
for (let i = 0; i < 150000; i++)
    objects.push({ id: i, key: 'k' + random() % 100003, list: [random() % 10, i % 10],
                   next: null });
for (let i = 1; i < objects.length; i++)
    objects[i].next = objects[random() % i];
const byKey = new Map();
for (const o of objects) {
    if (!byKey.has(o.key)) byKey.set(o.key, []);
    byKey.get(o.key).push(o);
}
let depth = 0, sum = 0;
for (let i = 0; i < objects.length; i += 7) {
    let o = objects[i];
    while (o.next) { o = o.next; depth++; }
    sum += o.list[0];
}
objects.sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : a.id - b.id);
const big = new Uint8Array(20 << 20);
for (let i = 0; i < big.length; i += 64) big[i] = i % 251;
let check = 0;
for (let i = 0; i < big.length; i += 64) check = (check * 31 + big[i]) % 1000003;
console.log(byKey.size, depth, sum, objects[0].key, objects[1000].id, check);
console.log(JSON.stringify(objects.slice(5000, 5003), ['id', 'key', 'list']));
process.exitCode = 4;
'''

LUA = '''
local t, s = {}, 1
for i = 1, 60000 do
    s = (s * 48271) % 2147483647
    t[i] = { n = s % 1000, text = "row " .. s }
end
local part = {}
for i = 1, 5000 do part[i] = t[i * 7] end
table.sort(part, function(a, b) if a.n ~= b.n then return a.n < b.n end return a.text < b.text end)
local sum = 0
for i = 1, #t do sum = (sum * 31 + t[i].n + #t[i].text) % 1000000007 end
print(#t, part[1].text, part[#part].text, sum)
'''

PERL = r'''
my (@rows, %h, $s); $s = 7;
for my $i (1 .. 60000) { $s = ($s * 48271) % 2147483647; push @rows, [ $i, "v" x ($s % 140) ]; }
my $sum = 0; $sum += length($$_[1]) * $$_[0] % 97 for @rows;
$h{length($$_[1])} .= $$_[0] % 10 for @rows;
print scalar(@rows), " $sum ", join(",", map { length } @h{sort keys %h}), "\n";
'''


def lines_file(bench, name, megabytes):
    """Deterministic text; the second column is nearly in order, the first in none."""
    state, rows = 88172645463325252, []
    size = 0
    while size < megabytes * 2**20:
        state ^= (state << 13) & 0xffffffffffffffff
        state ^= state >> 7
        state ^= (state << 17) & 0xffffffffffffffff
        row = f'{state:016x} {len(rows) + state % 5000} the quick brown fox {state % 97}'
        rows.append(row)
        size += len(row) + 1
    return bench.write(name, '\n'.join(rows) + '\n')


def c_file(functions):
    """A large C file: switch-heavy functions that call each other."""
    text = ['#include <stdint.h>', '#include <string.h>']
    for f in range(functions):
        text.append(f'static const uint32_t table{f}[] = {{'
                    + ', '.join(str((f * 7919 + i * 104729) % 1000003) for i in range(24)) + '};')
        text.append(f'uint32_t step{f}(uint32_t x, char *buffer, uint32_t n)\n{{')
        text.append('\tuint32_t i, sum = x;\n\n\tfor (i = 0; i < n; i++) {')
        text.append('\t\tswitch ((x >> i) % 9) {')
        for c in range(9):
            previous = f'step{(f * 31 + c) % f}(sum ^ i, buffer, n / {c + 2})' if f else 'i'
            text.append(f'\t\tcase {c}:\n'
                        f'\t\t\tsum += table{f}[(i + {c}) % 24] * {f * 9 + c + 3}u;\n'
                        f'\t\t\tbuffer[i % 64] ^= (char)(sum >> {c});\n'
                        f'\t\t\tif (sum & {1 << c})\n\t\t\t\tsum ^= {previous};\n\t\t\tbreak;')
        text.append('\t\t}\n\t}\n\tmemmove(buffer, buffer + 1, 32);\n\treturn sum;\n}')
    return '\n'.join(text) + '\n'


@program('python', timeout=120)
def python_dict(bench):
    """python3 builds and queries a large dict"""
    return [PYTHON, bench.write('dict.py', PYTHON_DICT)]


@program('sqlite', timeout=180)
def sqlite(bench):
    """sqlite3 sorts and joins 250,000 rows in memory"""
    bench.need('sqlite3')
    path = bench.write('rows.sql', SQL)
    return ['/usr/bin/sqlite3', '-batch', ':memory:', f'.read {path}']


@program('sort', timeout=120)
def sort(bench):
    """sort(1) of a file larger than RAM"""
    path = lines_file(bench, 'lines.txt', 40)
    return ['/usr/bin/sort', '-S', '24M', '--parallel=1', '-k', '2,2n', '-k', '1,1', path]


@program('gcc', timeout=180, outputs=('big.o',))
def gcc(bench):
    """gcc -O2 of a large C file gives the identical object"""
    bench.write('big.c', c_file(80))
    return ['/usr/bin/gcc', '-O2', '-g0', '-c', os.path.join(bench.inputs, 'big.c'), '-o', 'big.o']


@program('tar-gzip', timeout=60, mem=('64M', '12M'))
def tar_gzip(bench):
    """a pipeline: tar | gzip | gzip -d | tar"""
    for i in range(40):
        lines_file(bench, f'tree/{i % 5}/file{i}', 0.3)
    script = f'''
tar -C {bench.inputs} --sort=name --owner=0 --group=0 --mtime=@0 -cf - tree | gzip -n -6 >t.gz
sha256sum <t.gz
gzip -dc t.gz | tar -tf - | sort | sha256sum
mkdir x && tar -C x -xzf t.gz && cat x/tree/*/* | sha256sum
'''
    return ['/bin/bash', '-c', script]


@program('bash-forks', timeout=60, mem=('64M', '12M'))
def bash_forks(_bench):
    """bash with 200 fork+execs, and subshells"""
    script = '''
set -e
for i in $(seq 200); do /bin/echo "line $i"; done | sha256sum
n=0
for i in $(seq 40); do n=$((n + $(expr $i + 1))); ( exit 3 ) || n=$((n + $?)); done
echo $n
/bin/ls -d / | cat | cat | cat
f() { [ $1 -eq 0 ] || { ( f $(($1 - 1)) ); echo $1; }; }
f 12
exit 5
'''
    return ['/bin/bash', '-c', script]


@program('barrier', timeout=60)
def barrier(bench):
    """8 threads with barriers over 48 MiB"""
    return [bench.compile('barrier'), '8', '6', '48']


@program('node', timeout=180)
def node(bench):
    """node with a heap-heavy script"""
    bench.need('node')
    path = shutil.which('node', path='/usr/local/bin:/usr/bin:/bin')
    return [path, bench.write('heap.js', NODE)]


@program('java', timeout=120, ram=(1.5,), quick=())
def java(bench):
    """java, which reserves huge ranges"""
    if not shutil.which('java', path='/usr/local/bin:/usr/bin:/bin'):
        raise Skip('no java here')
    lines_file(bench, 'in.txt', 4)
    return ['/usr/bin/java', '-Xmx128m', '-XX:+UseSerialGC', '-Xshare:auto', '-version']


@program('lua', timeout=60)
def lua(bench):
    """lua5.4 sorts a table"""
    bench.need('lua5.4')
    return ['/usr/bin/lua5.4', bench.write('t.lua', LUA)]


@program('perl', timeout=60)
def perl(bench):
    """perl with a large hash"""
    bench.need('perl')
    return ['/usr/bin/perl', bench.write('h.pl', PERL)]


@program('static', timeout=30, mem=('64M', '12M'))
def static(bench):
    """a static binary, with malloc, threads and stdio"""
    return [bench.compile('barrier', '-static'), '2', '4', '16']


@program('true', timeout=20, mem=('16M',))
def true(_bench):
    """/bin/true: nothing but exec and exit"""
    return ['/bin/true']
