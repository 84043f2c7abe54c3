"""failures.py - what goes wrong before, beside and after the program: messages and exit statuses.

SPDX-License-Identifier: MIT
"""
import os
import signal
import subprocess
import time
import xml.etree.ElementTree

from harness import (PYTHON, alive, check, descendants, expect, expect_status, Failure, Skip,
                     same)

OWN, NOT_EXECUTABLE, NOT_FOUND, EXPECTATION = 125, 126, 127, 124


def refuses(bench, status, *arguments, says=()):
    """Runs `quire ARGUMENTS`; it must end with the status and a message that says these words."""
    run = bench.launch([bench.quire, *arguments])
    expect_status(run, status)
    text = run.stderr.decode(errors='replace')
    expect(text.startswith('quire'), f'the message does not begin with "quire": {text[:200]!r}')
    expect(len(text) < 4000, 'the message is too long')
    for word in says:
        expect(word.lower() in text.lower(), f'the message does not say {word!r}: {text[:300]!r}')
    return text.strip().splitlines()[0][:100]


@check('fail-no-proc')
def no_proc(bench):
    """without /proc nothing is started, and the message says what to do"""
    bench.need('unshare')
    run = bench.launch(['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh',
                        bench.quire, 'run', '--mem', '32M', '--', '/bin/true'])
    expect_status(run, 125)
    expect(b'mount -t proc' in run.stderr, run.stderr)


@check('fail-missing')
def missing(bench):
    """a missing program: 127"""
    return refuses(bench, NOT_FOUND, 'run', '--mem', '32M', '--', '/nowhere/program',
                   says=('/nowhere/program',))


@check('fail-not-in-path')
def not_in_path(bench):
    """a name that is nowhere in PATH: 127"""
    return refuses(bench, NOT_FOUND, 'run', '--mem', '32M', '--', 'no-such-program-here',
                   says=('no-such-program-here',))


@check('fail-not-executable')
def not_executable(bench):
    """a file without x, and a directory: 126"""
    path = bench.write('plain', 'text\n')
    refuses(bench, NOT_EXECUTABLE, 'run', '--mem', '32M', '--', path, says=('plain',))
    return refuses(bench, NOT_EXECUTABLE, 'run', '--mem', '32M', '--', bench.inputs)


@check('fail-bad-format')
def bad_format(bench):
    """a file in no known format is run as env(1) runs it: by the shell"""
    path = bench.write('fish', 'echo fowl\nexit 7\n', 0o755)
    native = bench.launch(['/usr/bin/env', path])
    run = bench.on_quire([path])
    same(native, run)


@check('path-search')
def path_search(bench):
    """a plain name is looked up in PATH"""
    run = bench.on_quire(['echo', 'found'])
    expect_status(run, 0)
    expect(run.stdout == b'found\n', f'printed {run.stdout!r}')


@check('fail-tiny')
def tiny(bench):
    """RAM too small to boot: 125, and how much is needed"""
    text = refuses(bench, OWN, 'run', '--mem', '64K', '--', '/bin/true', says=('64',))
    refuses(bench, OWN, 'run', '--mem', '1K', '--', '/bin/true')
    return text


@check('fail-usage')
def usage(bench):
    """wrong options: 125 and a hint"""
    refuses(bench, OWN, 'run', '--mem', 'plenty', '--', '/bin/true', says=('plenty',))
    refuses(bench, OWN, 'run', '--no-such-option', '--', '/bin/true', says=('no-such-option',))
    refuses(bench, OWN, 'run', '--mem', '32M', '--set', 'no_such_knob=1', '--', '/bin/true',
            says=('no_such_knob',))
    refuses(bench, OWN, 'run', '--mem', '32M', '--set', 'swappiness=rather', '--', '/bin/true',
            says=('swappiness',))
    refuses(bench, OWN, 'run', '--mem', '32M', '--expect', 'pgfault ~ 3', '--', '/bin/true',
            says=('pgfault',))
    refuses(bench, OWN, 'run', '--mem', '32M', '--expect', 'no_such_counter < 3', '--', '/bin/true',
            says=('no_such_counter',))
    return refuses(bench, OWN, 'run', '--mem', '32M')


@check('help')
def helps(bench):
    """--help and --version go to standard output and end with 0"""
    for arguments in (['--help'], ['run', '--help'], ['--version']):
        run = bench.launch([bench.quire, *arguments])
        expect_status(run, 0)
        expect(run.stdout and not run.stderr, f'{arguments}: nothing on standard output')
    text = bench.launch([bench.quire, 'run', '--help']).stdout.decode()
    for word in ('--mem', '--swap', '--set', '--report', '--json', '--quiet', '--expect', '--junit',
                 '--seed', '--progress', '--verbose', '125', '126', '127', str(EXPECTATION)):
        expect(word in text, f'run --help does not mention {word}')


@check('fail-swap-file')
def swap_file(bench):
    """a swap file that cannot be made: 125"""
    refuses(bench, OWN, 'run', '--mem', '32M', '--swap', '64M', '--swap-file', '/nowhere/swap',
            '--', '/bin/true', says=('/nowhere/swap',))
    return refuses(bench, OWN, 'run', '--mem', '32M', '--swap', '64M', '--swap-file', bench.work,
                   '--', '/bin/true', says=(os.path.basename(bench.work),))


@check('fail-swap-space')
def swap_space(bench):
    """the file system of the swap file has no room: said at the start, or the OOM killer"""
    if os.getuid() != 0:
        raise Skip('mounting needs root')
    script = f'''
mount -t tmpfs -o size=8M none {bench.work} || exit 77
exec {bench.quire} run --mem 24M --swap 256M --swap-file {bench.work}/swap -- \
    {bench.compile('hog')} 96
'''
    run = bench.launch(['/usr/bin/unshare', '-m', '/bin/bash', '-c', script], fresh=True)
    if run.status == 77:
        raise Skip('cannot mount here')
    text = run.stderr.decode(errors='replace')
    expect(run.status in (OWN, 137), f'exit status {run.status}: {text[-300:]}')
    expect('space' in text.lower() or 'ENOSPC' in text, f'does not say why: {text[:300]}')


@check('fail-swap-full')
def swap_full(bench):
    """swap runs full: the OOM killer, not a hang"""
    run = bench.on_quire([bench.compile('hog'), '128'], 24576, 16384)
    expect_status(run, 137)
    expect(run.counter('oom_kill') >= 1, 'no OOM kill was counted')


@check('swap-direct')
def swap_direct(bench):
    """swap past the host's page cache: the right answer, and the same traffic in kind"""
    hog = bench.compile('hog')
    natively = bench.native([hog, '48', 'rewrite', '1'])
    run = bench.on_quire([hog, '48', 'rewrite', '1'], 16384, flags=('--swap-direct',))
    expect_status(run, 0)
    expect(run.stdout == natively.stdout, f'printed {run.stdout!r}')
    expect(run.counter('pswpout') > 8000 and run.counter('pswpin') > 8000,
           f'swapped {run.counter("pswpout")} out, {run.counter("pswpin")} in')


@check('fail-io')
def failing_io(bench):
    """injected EIO and ENOSPC of swap: an honest end or the right answer, nothing in between"""
    hog = bench.compile('hog')
    answers = []
    for what in ('write:1:ENOSPC', 'write:40:EIO', 'read:1:EIO', 'read:60:EIO'):
        run = bench.on_quire([hog, '48', 'rewrite', '1'], 16384, flags=('--fail', what))
        if run.status == 0:
            expect(run.stdout == b'12288 pages\n', f'{what}: printed {run.stdout!r}')
        else:
            # A page that cannot be read back is a bus error, as on Linux.
            expect(run.status in (137, 128 + signal.SIGBUS), f'{what}: exit status {run.status}')
        answers.append(f'{what} {run.status}')
    return ', '.join(answers)


@check('fail-report')
def report_unwritable(bench):
    """a report that cannot be written is said before the program runs: 125"""
    return refuses(bench, OWN, 'run', '--mem', '32M', '--report', '/nowhere/report', '--',
                   '/bin/true', says=('/nowhere/report',))


@check('fail-privilege')
def privilege(bench):
    """without the privilege: 125, says what is missing and how to get it"""
    if os.getuid() != 0:
        return 'not run as root'
    run = bench.launch(['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                        bench.quire, 'run', '--mem', '32M', '--', '/bin/echo', 'it works'])
    if run.status == 0 and run.stdout == b'it works\n':
        return 'unprivileged use works here'
    expect_status(run, OWN)
    text = run.stderr.decode(errors='replace')
    expect(any(word in text for word in ('CAP_', 'sysctl', 'privilege', 'root')), text[:300])
    return text.splitlines()[0][:100]


@check('status')
def statuses(bench):
    """the program's exit status, and 128+n for signals"""
    for script, status in (('exit 0', 0), ('exit 1', 1), ('exit 255', 255), ('kill -TERM $$', 143),
                           ('kill -KILL $$', 137), ('kill -ABRT $$', 134)):
        run = bench.on_quire(['/bin/sh', '-c', script])
        expect_status(run, status)
        expect(run.report and run.report['exit_status'] == status,
               'the report has another exit_status')


@check('quiet')
def quiet(bench):
    """--quiet writes nothing; without it the report is on standard error only"""
    run = bench.launch([bench.quire, 'run', '--mem', '32M', '--quiet', '--', '/bin/echo', 'x'])
    expect_status(run, 0)
    expect(run.stdout == b'x\n' and run.stderr == b'', f'--quiet wrote {run.stderr[:200]!r}')
    run = bench.launch([bench.quire, 'run', '--mem', '32M', '--', '/bin/echo', 'x'])
    expect_status(run, 0)
    expect(run.stdout == b'x\n' and len(run.stderr) > 200, 'no report on standard error')


@check('streams')
def streams(bench):
    """standard input, output and error are the program's own; closed ones stay closed"""
    script = f'''
printf 'one\\ntwo\\n' | {bench.quire} run --mem 32M --quiet -- /bin/cat | tail -n 1
{bench.quire} run --mem 32M --quiet -- /bin/sh -c 'echo to-stderr >&2' 2>&1 >/dev/null
{bench.quire} run --mem 32M --quiet -- /bin/sh -c 'ls /proc/self/fd | wc -l' <&-
yes | {bench.quire} run --mem 32M --quiet -- /usr/bin/head -n 2
{bench.quire} run --mem 32M --quiet -- /usr/bin/yes | head -n 1
'''
    run = bench.launch(['/bin/bash', '-c', script])
    expect_status(run, 0)
    expect(run.stdout.split() == [b'two', b'to-stderr', b'3', b'y', b'y', b'y'],
           f'printed {run.stdout!r} {run.stderr[-300:]!r}')


@check('expect')
def expectations(bench):
    """--expect: fine ones change nothing, a failing one ends with its own status and says so"""
    run = bench.on_quire(['/bin/sh', '-c', 'exit 3'], flags=('--expect', 'oom_kill == 0',
                                                             '--expect', 'pgfault > 10'))
    expect_status(run, 3)
    run = bench.on_quire(['/bin/true'], flags=('--expect', 'pgfault < 1',
                                               '--expect', 'oom_kill == 0'))
    expect_status(run, EXPECTATION)
    text = run.stderr.decode(errors='replace')
    expect('pgfault' in text and 'oom_kill' not in text, f'the message is {text[:300]!r}')


@check('junit')
def junit(bench):
    """--junit writes each expectation as a test case"""
    path = os.path.join(bench.tmp, 'junit.xml')
    run = bench.on_quire(['/bin/true'], flags=('--junit', path, '--expect', 'pgfault < 1',
                                               '--expect', 'oom_kill == 0'))
    expect_status(run, EXPECTATION)
    tree = xml.etree.ElementTree.parse(path)
    cases = list(tree.iter('testcase'))
    failed = [case for case in cases if case.find('failure') is not None]
    names = ' '.join(case.get('name', '') for case in cases)
    expect('pgfault' in names and 'oom_kill' in names, f'the cases are {names!r}')
    expect(len(failed) == 1 and 'pgfault' in failed[0].get('name', ''), 'not just pgfault failed')


@check('interrupt')
def interrupt(bench):
    """SIGINT and SIGTERM to quire reach the program, and everything ends"""
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with open(os.devnull, 'wb') as null:
            process = bench.start([bench.quire, 'run', '--mem', '32M', '--', '/bin/sleep', '60'],
                                  null, null)
            bench.until(process, lambda: bench.programs(process, 'sleep'))
            os.kill(process.pid, number)
            got = bench.wait(process, 10)
        expect(got == status, f'signal {number}: exit status {got}')
        expect(not bench.left_behind(), f'signal {number}: {bench.left_behind()} left behind')


@check('trap-signal')
def trap_signal(bench):
    """a program that handles SIGTERM is given the chance to"""
    script = 'trap "echo bye; exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    process = subprocess.Popen([bench.quire, 'run', '--mem', '32M', '--quiet', '--', '/bin/sh',
                                '-c', script], stdout=subprocess.PIPE, start_new_session=True)
    expect(process.stdout.readline() == b'ready\n', 'it did not start')
    os.kill(process.pid, signal.SIGTERM)
    status = bench.wait(process, 10)
    rest = process.stdout.read()
    process.stdout.close()
    expect(status == 9 and rest == b'bye\n', f'exit status {status}, printed {rest!r}')


@check('background')
def background(bench):
    """what the first process leaves running is killed and counted; with --wait it may end"""
    script = f'{PYTHON} -c "import time; time.sleep(%g); print(\'late\')" & exit 6'
    run = bench.on_quire(['/bin/sh', '-c', script % 30])
    expect_status(run, 6)
    expect(run.stdout == b'' and run.report['killed_at_end'] == 1,
           f'without --wait: printed {run.stdout!r}, {run.report["killed_at_end"]} killed')
    run = bench.on_quire(['/bin/sh', '-c', script % 0.3], flags=('--wait',))
    expect_status(run, 6)
    expect(run.stdout == b'late\n' and run.report['killed_at_end'] == 0,
           f'with --wait: printed {run.stdout!r}, {run.report["killed_at_end"]} killed')
    left = [pid for pid in descendants() if alive(pid)]
    expect(not left, f'{len(left)} processes are still there')
