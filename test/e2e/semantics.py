"""semantics.py - small C programs, each hard on one promise of the memory manager.

Each runs natively and on Quire, with plenty of RAM and with little, and must print the same.

SPDX-License-Identifier: MIT
"""
from harness import check, expect, expect_status, Failure, program

PLENTY, SHORT = '64M', '12M'


def small(stem, *arguments, name=None, mem=(PLENTY, SHORT), **kwargs):
    """Registers test/e2e/<stem>.c, run with the arguments, as a program."""
    def prepare(bench):
        return [bench.compile(stem), *arguments]
    prepare.__doc__ = DOCS.get(name or stem, DOCS[stem if stem in DOCS else name])
    program(name or stem, mem=mem, **{'timeout': 40, **kwargs})(prepare)


DOCS = {
    'segv': 'bad accesses: signal, si_code, si_addr, sigaltstack',
    'segv-end': 'an unhandled bad access ends with 139',
    'cow': 'a family of processes checks copy-on-write',
    'forkrace': 'threads use and change memory at the very moment when others fork it',
    'memcalls': 'random memory calls, and what each page permits and holds',
    'edges': 'wrong arguments, holes, overlaps, limits, brk: the errnos',
    'signals': 'signals in faults, in calls and in forks; children, threads',
    'spawn': 'posix_spawn, vfork, exec from threads, exec failures',
    'newborn': 'what a forked child does before its first call',
    'eintr': 'signals without SA_RESTART while memory calls are made',
    'tids': 'a child that has the id of a thread which its parent once had',
    'threads': 'hundreds of threads, futexes on cold pages',
    'reserve': 'reservations of terabytes, sparsely used',
    'shared': 'MAP_SHARED, System V, POSIX and memfd memory between processes',
    'filemap': 'private and shared file mappings, write-back, truncation',
    'inout': 'system calls on memory that is not there',
    'stack': 'deep stacks, jumps, coroutines, RLIMIT_STACK',
    'jit': 'code written at run time, dlopen',
    'peek': 'a debugger looks at memory that does not fit',
    'race': 'other threads look while rights and frames change',
    'sandbox': 'fork and exec under a seccomp filter of its own',
    'scatter': 'pages in more scattered frames than the host allows mappings',
    'scatter-areas': 'as many areas as Linux allows, and one more',
    'selfproc': '/proc/self as the program sees it',
    'hog': 'every page written and checked, three times over',
}

small('segv')
small('segv', 'end', name='segv-end', mem=(PLENTY,))
small('cow', '1200', '4')
small('forkrace', '60')
for seed in range(1, 9):
    small('memcalls', str(seed), '1500', name=f'memcalls-{seed}',
          quick=(PLENTY, SHORT) if seed < 4 else ())
for seed in (11, 12):
    # Larger folios make neighbours resident, which mincore tells.
    small('memcalls', str(seed), '1500', 'mincore', name=f'memcalls-{seed}', mem=(PLENTY,),
          flags=('--set', 'fault_zero_pages=1'))
small('edges', mem=(PLENTY,))
small('signals')
small('spawn')
small('newborn')
small('eintr', '2500')
small('tids', mem=(PLENTY,))
small('threads', '300', '300', mem=(PLENTY, '24M'), timeout=60)
small('reserve', mem=(PLENTY, '24M'))
small('shared')
small('filemap')
small('inout', '20')
small('stack', mem=(PLENTY, '16M'))
small('jit')
small('race', '20', mem=(PLENTY,), flags=('--fail', 'pause:20'), timeout=90)
small('peek', '16', '60', mem=(PLENTY, SHORT), timeout=60)
small('sandbox', mem=(PLENTY,))
small('scatter', 'frames', '300', mem=('400M',), timeout=120)
small('scatter', 'areas', '132000', name='scatter-areas', mem=('640M',), timeout=120)
small('selfproc', 'one', 'two words', mem=(PLENTY,))
small('hog', '48', 'rewrite', '2', name='hog', mem=(PLENTY, '16M'))


LIMITS = '''
import mmap, resource
print(resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_DATA))
areas = []
try:
    while True:
        areas.append(mmap.mmap(-1, 10 << 20))
except OSError as error:
    print(error.errno, 20 < len(areas) < 50)
'''


@program('limits', mem=('32M',))
def limits(bench):
    """RLIMIT_AS and RLIMIT_DATA: inherited, told, applied"""
    script = bench.write('limits.py', LIMITS)
    return ['/bin/bash', '-c', f'''
ulimit -v 500000; ulimit -d 400000
bash -c "ulimit -v; ulimit -d; /bin/echo a child"
/usr/bin/python3 {script}
ulimit -v 600000 2>/dev/null; ulimit -v 300000; ulimit -v; ulimit -Hv
ulimit -s unlimited; /bin/echo with another layout''']


@program('core', mem=('32M',))
def core(bench):
    """a core dump comes to an end, and a debugger can read it"""
    bench.need('gdb')
    return ['/bin/bash', '-c', f'''
ulimit -c unlimited
{bench.compile('hog')} 8 tell ready await stop &
until test -e ready; do sleep 0.05; done
kill -SEGV $!; wait $!; echo $?
grep -q '^core' /proc/sys/kernel/core_pattern || exit
test $(du -k core* | cut -f1) -lt 40000 && echo small
gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'frame function main' -ex 'print pages' \
    {bench.compile('hog')} core* 2>/dev/null | grep '^\\$' ''']


@check('pid-namespace')
def pid_namespace(bench):
    """a new namespace of process ids is refused: our agent would belong to another there"""
    run = bench.on_quire(['/usr/bin/unshare', '--fork', '--pid', '/bin/true'])
    expect_status(run, 1)
    expect('unshare' in run.report['unhandled'], 'the report does not name unshare')


@check('refused')
def refused(bench):
    """what could escape the RAM limit is refused, and the report names it"""
    run = bench.on_quire([bench.compile('refused')])
    expect_status(run, 0)
    for line in run.stdout.decode().splitlines():
        name, answer = line.rsplit(' ', 1)
        if name in ('userfaultfd', 'io_uring_setup', 'swapon') and answer != 'refused':
            raise Failure(f'{name} was {answer}')
    named = set(run.report['unhandled']) | set(run.report['calls'])
    for name in ('userfaultfd', 'io_uring_setup', 'swapon'):
        expect(name in named, f'the report does not name {name}')


@check('escape')
def escape(bench):
    """while a program uses 4 times the RAM, no more than RAM and a little is used on the host"""
    mem_kb, little_kb = 32768, 65536
    peak = bench.native([bench.quire, 'run', '--mem', f'{mem_kb}K', '--swap', '512M', '--quiet',
                         '--', bench.compile('hog'), '128', 'rewrite', '2'], multi=True)
    expect_status(peak, 0)
    if peak.peak_kb > mem_kb + little_kb:
        raise Failure(f'{peak.peak_kb} kB of host memory for a machine of {mem_kb} kB')
    return f'{peak.peak_kb} kB of host memory for a machine of {mem_kb} kB'
