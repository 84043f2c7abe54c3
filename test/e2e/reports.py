"""reports.py - the report: its keys, what its numbers must satisfy, OOM kills, determinism.

SPDX-License-Identifier: MIT
"""
import json
import os
import pathlib
import re

from harness import PYTHON, check, expect, expect_status, Failure, Skip

KEYS = {
    'quire': str, 'command': list, 'exit_status': int, 'wall_s': (int, float),
    'user_s': (int, float), 'sys_s': (int, float), 'ram_kb': int, 'rss': dict, 'vmstat': dict,
    'faults': dict, 'swap': dict, 'oom': list, 'calls': dict, 'quire_s': (int, float),
    'unhandled': dict,
}
COUNTERS = ('pgfault', 'pgmajfault', 'pgscan_kswapd', 'pgscan_direct', 'pgsteal_kswapd',
            'pgsteal_direct', 'pswpin', 'pswpout', 'workingset_refault_anon',
            'workingset_refault_file', 'oom_kill', 'pgfree')
FORKS = '''
import os, threading
def work():
    for i in range(25):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
threads = [threading.Thread(target=work) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
'''
DICT = '''
d = {i: str(i) * 3 for i in range(300000)}
print(sum(len(v) for v in d.values()))
'''


def need(report, key, kind):
    if key not in report:
        raise Failure(f'the report has no {key}')
    if not isinstance(report[key], kind) or isinstance(report[key], bool):
        raise Failure(f'{key} is {report[key]!r}')


@check('report-keys')
def report_keys(bench):
    """the JSON report has every promised key, and the numbers fit each other"""
    run = bench.on_quire([bench.compile('hog'), '48', 'rewrite', '1'], 24576)
    expect_status(run, 0)
    report = run.report
    for key, kind in KEYS.items():
        need(report, key, kind)
    for kind in ('anon', 'file', 'pagetables', 'kernel'):
        need(report['rss'], kind, dict)
        peak, mean = report['rss'][kind]['peak_kb'], report['rss'][kind]['mean_kb']
        expect(0 <= mean <= peak <= report['ram_kb'], f'rss of {kind}: mean {mean}, peak {peak}')
    for name in COUNTERS:
        need(report['vmstat'], name, int)
    for name in ('zero', 'file', 'swapin', 'cow', 'soft'):
        need(report['faults'], name, int)
    vm, swap = report['vmstat'], report['swap']
    expect(report['command'][-1] == '1', f'command is {report["command"]}')
    expect(vm['pgfault'] >= vm['pgmajfault'] > 0, 'pgfault and pgmajfault do not fit')
    expect(swap['out_pages'] == vm['pswpout'] > 5000, f'swapped out {swap["out_pages"]} pages')
    expect(swap['in_pages'] == vm['pswpin'] > 5000, f'swapped in {swap["in_pages"]} pages')
    expect(vm['nr_written'] == vm['pswpout'], f'{vm["nr_written"]} pages were written')
    for kind in ('anon', 'file'):
        refault, activate, restore = (vm[f'workingset_{what}_{kind}']
                                      for what in ('refault', 'activate', 'restore'))
        expect(refault > 0 and refault >= activate >= restore,
               f'{kind}: {refault} refaults, {activate} activated, {restore} restored')
    cached = vm['nr_inactive_file'] + vm['nr_active_file'] + vm['nr_unevictable']
    expect(0 < cached <= vm['nr_file_pages'], f'{cached} file pages on the lists')
    expect(swap['peak_kb'] >= 48 * 1024 - report['ram_kb'], f'swap peak {swap["peak_kb"]} kB')
    expect(vm['pgsteal_kswapd'] + vm['pgsteal_direct'] >= 5000, 'hardly a page was reclaimed')
    expect(report['faults']['zero'] > 0 and report['faults']['file'] > 0, 'no zero or file faults')
    expect(report['rss']['anon']['peak_kb'] > 12000, 'anonymous RSS is too small')
    expect('mmap' in report['calls'] and report['calls']['mmap']['count'] > 0, 'no mmap call')
    expect(0 < report['quire_s'] < report['wall_s'] * 4, f'quire_s is {report["quire_s"]}')


@check('report-text')
def report_text(bench):
    """the text report names the figures a person looks for"""
    path = os.path.join(bench.tmp, 'report.txt')
    run = bench.launch([bench.quire, 'run', '--mem', '24M', '--swap', '256M', '--report', path,
                        '--', bench.compile('hog'), '48'])
    expect_status(run, 0)
    with open(path, encoding='utf-8') as f:
        text = f.read().lower()
    for word in ('wall', 'user', 'rss', 'anon', 'file', 'page tables', 'fault', 'major', 'swap',
                 'reclaim', 'oom'):
        expect(word in text, f'the report does not say {word!r}')
    expect(max(len(line) for line in text.splitlines()) <= 100, 'a line is over 100 columns')


@check('report-json-stderr')
def json_on_stderr(bench):
    """--json without --report writes JSON to standard error"""
    run = bench.launch([bench.quire, 'run', '--mem', '24M', '--json', '--', '/bin/true'])
    expect_status(run, 0)
    report = json.loads(run.stderr.decode())
    expect(report['exit_status'] == 0, 'no exit_status')


@check('verbose')
def verbose(bench):
    """--verbose prints the boot lines as Linux does"""
    run = bench.launch([bench.quire, 'run', '--mem', '64M', '--verbose', '--', '/bin/true'])
    expect_status(run, 0)
    expect(b'Memory: ' in run.stderr and b'available' in run.stderr, 'no Memory: line')


@check('herd')
def herd(bench):
    """what a wake-up costs is measured for programs with threads, and bounds the gathering"""
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip('needs two CPUs')
    lines = {}
    threads = [bench.compile('barrier'), '4', '60', '8']
    for name, program in (('one', ['/bin/true']), ('many', threads)):
        run = bench.launch([bench.quire, 'run', '--mem', '64M', '--verbose', '--', *program])
        expect_status(run, 0)
        lines[name] = re.findall(rb'waking a CPU costs (\d+) us.* above (\d+) events', run.stderr)
    expect(not lines['one'], 'measured for nothing')
    expect(len(lines['many']) == 1, f'{len(lines["many"])} lines')
    cost, limit = map(int, lines['many'][0])
    expect(4000 <= limit <= 200000, f'limit {limit}')
    return f'{cost} us, limit {limit} events/s'


NATIVE_HUGE = '''
import mmap
memory = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_HUGEPAGE)
for at in range(0, len(memory), 1 << 20):
    memory[at] = 1
print(sum(int(line.split()[1]) for line in open('/proc/self/smaps') if 'AnonHugePages' in line))
'''


@check('huge-ram')
def huge_ram(bench):
    """the machine's RAM lies in huge pages of the host"""
    knob = pathlib.Path('/sys/kernel/mm/transparent_hugepage/shmem_enabled')
    if not knob.exists() or '[deny]' in knob.read_text():
        raise Skip('this kernel has no huge pages for files in memory')
    run = bench.launch([bench.quire, 'run', '--quiet', '--mem', '64M', '--', 'sh', '-c',
                        'grep ShmemPmdMapped /proc/$PPID/smaps'])
    expect_status(run, 0)
    huge = sum(int(line.split()[1]) for line in run.stdout.splitlines())
    if huge < 2048 and '[never]' not in knob.with_name('enabled').read_text():
        native = bench.launch([PYTHON, '-c', NATIVE_HUGE])
        if native.stdout == b'0\n':
            raise Skip('the memory here is too scattered for huge pages')
    expect(huge >= 2048, f'{huge} kB of huge pages')


@check('small-ram')
def small_ram(bench):
    """where no file system may be made, RAM lies in small pages and all is as before"""
    bench.need('strace')
    log = bench.write('strace.log', '')
    run = bench.launch(['strace', '-f', '-o', log, '-e', 'trace=fsopen',
                        '-e', 'inject=fsopen:error=EPERM', bench.quire, 'run', '--quiet',
                        '--mem', '64M', '--', 'sh', '-c', 'grep ShmemPmdMapped /proc/$PPID/smaps'])
    expect_status(run, 0)
    expect(b'EPERM' in pathlib.Path(log).read_bytes(), 'nothing was refused')
    huge = sum(int(line.split()[1]) for line in run.stdout.splitlines())
    expect(huge == 0, f'{huge} kB of huge pages')


SHARED = '''
import mmap, os
m = mmap.mmap(-1, 32 << 20)
for i in range(0, len(m), 4096):
    m[i] = 1 + i // 4096 % 250
if os.fork() == 0:
    os._exit(sum(m[i] == 1 + i // 4096 % 250 for i in range(0, len(m), 4096)) != 8192)
print(os.waitstatus_to_exitcode(os.wait()[1]))
'''


@check('shared-runs')
def shared_runs(bench):
    """shared memory comes in runs of pages: few faults for its maker, and few for its relatives"""
    faults = {}
    for pages in (1, 512):
        run = bench.on_quire([PYTHON, '-c', SHARED], 98304, 0,
                             ['--set', f'fault_zero_pages={pages}'])
        expect_status(run, 0)
        expect(run.stdout == b'0\n', run.stdout)
        faults[pages] = run.counter('pgfault')
    expect(faults[512] + 6000 < faults[1], f'{faults} faults')
    return f'{faults[512]} faults instead of {faults[1]}'


@check('progress')
def progress(bench):
    """--progress shows RSS, free memory, swap and faults"""
    run = bench.launch([bench.quire, 'run', '--mem', '24M', '--swap', '128M', '--progress', '--',
                        bench.compile('hog'), '32', 'sleep', '2500'])
    expect_status(run, 0)
    text = run.stderr.decode(errors='replace').lower()
    for word in ('rss', 'free', 'swap', 'fault'):
        expect(word in text, f'no {word!r} on the progress line')


@check('oom')
def oom(bench):
    """without swap a program that wants more than RAM is killed, and the report names it"""
    run = bench.on_quire([bench.compile('hog'), '96'], 32768, 0)
    expect_status(run, 137)
    expect(run.counter('oom_kill') == 1, f'oom_kill is {run.counter("oom_kill")}')
    victims = run.report['oom']
    expect(len(victims) == 1, f'{len(victims)} OOM kills in the report')
    expect(victims[0]['comm'] == 'hog', f'the victim is {victims[0]}')
    expect(victims[0]['points'] > 4000, f'its points are {victims[0]["points"]}')


@check('oom-uid')
def oom_uid(bench):
    """a process that became another user is listed as that user's"""
    if os.getuid() != 0:
        raise Skip('not root')
    run = bench.on_quire(['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                          bench.compile('hog'), '96'], 32768, 0)
    expect_status(run, 137)
    expect(run.report['oom'][0]['uid'] == 65534, f'the victim is {run.report["oom"][0]}')


@check('oom-child')
def oom_child(bench):
    """the largest process dies, the shell and a small one live on"""
    hog = bench.compile('hog')
    script = f'''
{hog} 4 await stop &
{hog} 96; echo "status $?"
touch stop
wait $!; echo "other $?"
'''
    run = bench.on_quire(['/bin/bash', '-c', script], 32768, 0)
    expect_status(run, 0)
    expect(b'status 137' in run.stdout and b'other 0' in run.stdout, f'printed {run.stdout!r}')
    expect([v['comm'] for v in run.report['oom']] == ['hog'], f'victims {run.report["oom"]}')


@check('oom-adj')
def oom_adj(bench):
    """oom_score_adj decides: a small process that offers itself dies first"""
    hog = bench.compile('hog')
    script = f'''
{hog} 8 adj 1000 tell ready await stop & offered=$!
until test -e ready; do sleep 0.05; done
{hog} 22 >/dev/null; echo "other $?"
touch stop
wait $offered; echo "offered $?"
'''
    run = bench.on_quire(['/bin/bash', '-c', script], 32768, 0)
    expect_status(run, 0)
    expect(run.stdout.split() == [b'other', b'0', b'offered', b'137'], f'printed {run.stdout!r}')


@check('deterministic', timeout=90)
def deterministic(bench):
    """with --seed a single-threaded program gives the same counters each time"""
    path = bench.write('d.py', DICT)
    reports = []
    for _ in range(3):
        run = bench.on_quire([PYTHON, path], 24576, flags=('--seed', '7'))
        expect_status(run, 0)
        reports.append(run.report)
    for key in ('vmstat', 'faults', 'swap'):
        for other in reports[1:]:
            different = {name: (value, other[key].get(name))
                         for name, value in reports[0][key].items()
                         if value != other[key].get(name)}
            if different:
                raise Failure(f'{key} differs: {dict(list(different.items())[:6])}')
    return f'{reports[0]["vmstat"]["pgfault"]} faults each time'


@check('deterministic-oom', timeout=60)
def deterministic_oom(bench):
    """with --seed the OOM killer chooses the same victim, at the same point"""
    hog = bench.compile('hog')
    seen = set()
    for _ in range(3):
        run = bench.on_quire([hog, '96'], 32768, 8192, flags=('--seed', '3'))
        expect_status(run, 137)
        seen.add((run.report['oom'][0]['comm'], run.report['oom'][0]['points'],
                  run.counter('pgfault')))
    expect(len(seen) == 1, f'different each time: {seen}')


@check('set')
def knobs(bench):
    """--set swappiness=0 swaps no anonymous page while file pages can go"""
    script = f'''
cat {PYTHON} >/dev/null
exec {PYTHON} -c 'print(len(bytearray(6000000)))'
'''
    run = bench.on_quire(['/bin/sh', '-c', script], 32768, flags=('--set', 'swappiness=0'))
    expect_status(run, 0)
    expect(run.counter('pswpout') == 0, f'{run.counter("pswpout")} pages swapped out')


@check('malloc')
def malloc(bench):
    """--malloc: the program allocates from libquire-malloc, in less RAM than it needs as well"""
    script = DICT + "print('libquire-malloc' in open('/proc/self/environ').read())\n"
    run = bench.on_quire([PYTHON, '-c', script], 32768, flags=('--malloc',),
                         env=dict(os.environ, QUIRE_MALLOC='stats=1'))
    expect_status(run, 0)
    expect(run.stdout.split() == [b'5066670', b'True'], f'it printed {run.stdout!r}')
    expect(b'quire-malloc: live' in run.stderr, 'no statistics of the allocator')
    expect(run.counter('pswpout') > 0, 'it was not short of RAM')


@check('outside')
def outside(bench):
    """what the host holds outside the machine's RAM is named, by kind, and can be refused in CI"""
    script = '''
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
fd = os.memfd_create('x')
os.ftruncate(fd, 3 << 20)
one = mmap.mmap(fd, 3 << 20)
with open('file', 'wb') as f:
    f.truncate(5 << 20)
file = open('file', 'r+b')
two = mmap.mmap(file.fileno(), 5 << 20)
segment = libc.shmget(0, 7 << 20, 0o1600)
libc.shmat(segment, None, 0)
libc.shmctl(segment, 0, None)
three = mmap.mmap(-1, 11 << 20)     # shared and anonymous: the machine's own
'''
    native = bench.on_quire([PYTHON, '-c', script], flags=('--expect', 'host_mapped_kb < 5000'))
    expect_status(native, 124)
    found = native.report['host_mapped']
    expect(found['shm_kb'] == 3072, f'POSIX shared memory: {found}')
    expect(5120 <= found['file_kb'] < 5632, f'files: {found}')
    expect(found['sysv_kb'] == 7168, f'System V: {found}')
    expect(native.report['host_mapped_kb'] == sum(found.values()), 'the sum is another')
    quiet = bench.on_quire([PYTHON, '-c', 'import mmap; mmap.mmap(-1, 9 << 20)'],
                           flags=('--expect', 'host_mapped_kb < 512'))
    expect_status(quiet, 0)


@check('report-forks')
def forks(bench):
    """forks that wait for each other are counted once each"""
    run = bench.on_quire([PYTHON, '-c', FORKS], 65536, 0)
    expect_status(run, 0)
    count = run.report['calls']['clone']['count'] if 'clone' in run.report['calls'] else 0
    count += run.report['calls'].get('fork', {'count': 0})['count']
    expect(count == 100, f'{count} forks were counted, there were 100')
