"""kills.py - kill -9 at random moments: no process, mount or swap file may stay.

The moment, the victim and the size of the machine come from a seed, which a failure prints:
`test/e2e/run kills --seed N --kills 1` repeats the case as well as timing allows.

SPDX-License-Identifier: MIT
"""
import glob
import os
import random
import signal
import time

from harness import alive, check, comm, descendants, Failure

QUICK = 12
FOLDERS = ('/tmp', '/var/tmp', '/dev/shm', '/run')


def traces(bench):
    """What a run may leave outside its processes: mounts, swap, files."""
    with open('/proc/self/mounts', encoding='utf-8') as f:
        mounts = {line for line in f if 'quire' in line.lower()
                  and ('quire-e2e-' not in line or bench.top in line)}
    with open('/proc/swaps', encoding='utf-8') as f:
        swaps = {line for line in f.read().splitlines()[1:]
                 if 'quire-e2e-' not in line or bench.top in line}
    files = {name for folder in FOLDERS for name in glob.glob(f'{folder}/*quire*')
             if not os.path.basename(name).startswith('quire-e2e-')}    # other runs of this
    inside = set(os.listdir(bench.tmp)) | set(os.listdir(bench.work))
    return mounts | swaps | files | inside


def choose(root, random_source):
    """The manager half of the time, else any process or thread group below it."""
    below = [pid for pid in descendants(root) if alive(pid)]
    if not below or random_source.random() < 0.4:
        return root
    return random_source.choice(below)


def expect_nothing_left(bench, what):
    """No process of the run is there any more; zombies are reaped."""
    left = bench.left_behind(5)
    if left:
        bench.end_descendants()
        raise Failure(f'{what}: left behind {left}')
    bench.reap()


def one_kill(bench, seed):
    source = random.Random(seed)
    mem_kb = source.choice((16384, 24576, 65536))
    before = traces(bench)
    with open(os.devnull, 'wb') as null:
        process = bench.start([bench.quire, 'run', '--mem', f'{mem_kb}K', '--swap', '128M',
                               '--quiet', '--', bench.compile('churn'), '40'], null, null)
        time.sleep(source.choice((0.002, 0.01, 0.03, 0.1, 0.3, 0.6)) * (0.5 + source.random()))
        victim = choose(process.pid, source)
        what = f'seed {seed}: kill -9 of {"the manager" if victim == process.pid else comm(victim)}'
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if victim != process.pid:
            # The machine may go on without a forked child: it is ended here in the end.
            time.sleep(0.3)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
        bench.wait(process, 20)
    expect_nothing_left(bench, what)
    stays = traces(bench) - before
    if stays:
        raise Failure(f'{what}: these stay: {sorted(stays)[:5]}')
    return what


@check('kills', timeout=900)
def kills(bench):
    """random kill points leave nothing behind (--kills N, default 12; a full run is 200)"""
    count = bench.options.kills or QUICK
    bench.compile('churn')
    for i in range(count):
        one_kill(bench, bench.options.seed + i)
    return f'{count} kill points from seed {bench.options.seed}'


@check('kill-at-boot')
def kill_at_boot(bench):
    """the supervisor is killed while the machine boots, where SIGHUP is ignored as under nohup"""
    source = random.Random(1)
    with open(os.devnull, 'wb') as null:
        for _ in range(30):
            process = bench.start(['/bin/sh', '-c', 'trap "" HUP; exec "$@"', 'sh', bench.quire,
                                   'run', '--quiet', '--mem', '32M', '--', '/bin/sleep', '30'],
                                  null, null)
            end = time.monotonic() + 5
            while not descendants(process.pid) and time.monotonic() < end:
                pass
            time.sleep(source.random() * 0.0012)
            os.kill(process.pid, signal.SIGKILL)
            bench.wait(process, 20)
            expect_nothing_left(bench, 'kill -9 of the supervisor')


@check('kill-stuck')
def kill_stuck(bench):
    """the supervisor is killed while the manager waits for an agent that does not answer"""
    with open(os.devnull, 'wb') as null:
        process = bench.start([bench.quire, 'run', '--mem', '16M', '--swap', '128M', '--quiet',
                               '--', bench.compile('churn'), '40'], null, null)
        time.sleep(0.5)
        agents = [pid for pid in descendants(process.pid) if alive(pid) and os.getsid(pid) == pid]
        for pid in agents:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        bench.wait(process, 20)
    if not agents:
        raise Failure('no agent found')
    expect_nothing_left(bench, 'kill -9 of the supervisor')


@check('kill-program')
def kill_program(bench):
    """kill -9 of the program: quire reports it and ends with 137"""
    with open(os.devnull, 'wb') as null:
        process = bench.start([bench.quire, 'run', '--mem', '32M', '--', '/bin/sleep', '50'],
                              null, null)
        bench.until(process, lambda: bench.programs(process, 'sleep'))
        target = bench.programs(process, 'sleep')
        if not target:
            bench.end_descendants()
            raise Failure('the program does not show among the descendants')
        time.sleep(0.2)
        os.kill(target[0], signal.SIGKILL)
        status = bench.wait(process, 10)
    if status != 137:
        raise Failure(f'exit status {status}, expected 137')
