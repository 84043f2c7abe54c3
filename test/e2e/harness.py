"""harness.py - runs commands natively and on Quire, compares them, and keeps the score.

A *program* (class Program) is run natively once, its peak memory measured, and then on Quire with
several sizes of RAM; standard output, exit status and named output files must be the same. A
*check* is a function that gets a Bench and raises Failure. Both register themselves by decorator.

SPDX-License-Identifier: MIT
"""
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = '/usr/bin/python3'
RATIOS = (1.5, 0.5, 0.25)
FLOOR_KB = 8192                 # no machine gets less RAM than this
STOP = 'stop'                   # the file that programs wait for, in the working directory
PR_SET_CHILD_SUBREAPER = 36
ENVIRONMENT = {
    'PATH': '/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C', 'LANG': 'C',
    'TZ': 'UTC', 'PYTHONHASHSEED': '0', 'PYTHONDONTWRITEBYTECODE': '1', 'TERM': 'dumb',
    **{name: os.environ[name] for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS') if name in os.environ},
}

PROGRAMS = {}
CHECKS = {}


class Failure(Exception):
    """What a test found wrong."""


class Skip(Exception):
    """Why a test does not apply here."""


class Program:
    """What to run: prepare(bench) makes the inputs in bench.inputs and returns the command."""

    def __init__(self, name, prepare, ram=RATIOS, mem=None, multi=False, outputs=(), timeout=60,
                 floor_kb=FLOOR_KB, quick=None, normalise=None, swap_kb=None, flags=()):
        self.name = name
        self.prepare = prepare
        self.ram = ram                  # ratios of the native peak
        self.mem = mem                  # or explicit sizes in KiB, which count instead
        self.multi = multi              # several processes at once: the peak is a sampled sum
        self.outputs = outputs          # files in the working directory to compare as well
        self.timeout = timeout          # seconds on Quire; natively a third of it
        self.floor_kb = floor_kb
        self.quick = quick              # the ratios (or sizes) of a --quick run; None: all
        self.normalise = normalise      # bytes -> bytes, before comparing
        self.swap_kb = swap_kb
        self.flags = flags              # further options of `quire run`
        self.doc = (prepare.__doc__ or '').strip()

    def sizes(self, options):
        every = self.mem or self.ram
        if options.ram is not None and not self.mem:
            return [options.ram]
        if options.quick and self.quick is not None:
            return list(self.quick)
        return list(every)


def program(name, **kwargs):
    def register(prepare):
        PROGRAMS[name] = Program(name, prepare, **kwargs)
        return prepare
    return register


class Check:
    def __init__(self, name, function, native, timeout):
        self.name = name
        self.function = function
        self.native = native            # makes sense without Quire
        self.timeout = timeout
        self.doc = (function.__doc__ or '').strip()


def check(name, native=False, timeout=60):
    def register(function):
        CHECKS[name] = Check(name, function, native, timeout)
        return function
    return register


class Run:
    """The outcome of one command."""

    def __init__(self, status, stdout, stderr, wall_s, peak_kb=0, report=None, outputs=None):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.wall_s = wall_s
        self.peak_kb = peak_kb
        self.report = report
        self.outputs = outputs or {}

    def counter(self, name):
        if self.report is None:
            raise Failure('there is no report')
        value = self.report.get('vmstat', {}).get(name)
        if value is None:
            raise Failure(f'the report has no vmstat.{name}')
        return value


class Bench:
    """The place where tests run: directories, compiled helpers, and the two ways to run a command.

    inputs   made once for a test, read-only for the programs
    work     the working directory, the same path for each run, emptied before it
    """

    def __init__(self, options):
        self.options = options
        self.quire = options.quire
        self.top = tempfile.mkdtemp(prefix='quire-e2e-')
        os.chmod(self.top, 0o755)
        self.bin = self.make_dir('bin')
        self.inputs = self.make_dir('inputs')
        self.work = self.make_dir('work')
        self.tmp = self.make_dir('tmp')
        self.deadline = None
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def make_dir(self, name):
        path = os.path.join(self.top, name)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        self.end_descendants()
        if self.options.keep:
            print(f'kept: {self.top}')
        else:
            shutil.rmtree(self.top, ignore_errors=True)

    def begin(self, timeout):
        self.deadline = time.monotonic() + timeout * self.options.patience
        for folder in (self.inputs, self.work):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)

    # --- inputs ---------------------------------------------------------------------------------

    def write(self, name, content, mode=0o644):
        path = os.path.join(self.inputs, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def compile(self, stem, *flags):
        """Compiles test/e2e/<stem>.c once; returns the path of the program."""
        path = os.path.join(self.bin, '-'.join([stem, *flags]).replace('/', '_'))
        if not os.path.exists(path):
            command = ['gcc', '-std=gnu11', '-O2', '-g', '-Wall', '-Wextra', '-Werror',
                       '-D_GNU_SOURCE', '-pthread', os.path.join(HERE, stem + '.c'), '-o', path,
                       '-lm', '-ldl', *flags]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    env={**os.environ, 'PATH': ENVIRONMENT['PATH']}, check=False)
            if result.returncode:
                raise Failure('does not compile:\n' + result.stdout.decode(errors='replace'))
        return path

    def need(self, *commands):
        for command in commands:
            if not shutil.which(command, path=ENVIRONMENT['PATH']):
                raise Skip(f'no {command} here')

    # --- runs -----------------------------------------------------------------------------------

    def native(self, argv, multi=False, outputs=(), env=None, timeout=None, fresh=True):
        measure = os.path.join(self.tmp, 'peak.out')
        prefix = [self.compile('peak')] + (['-s'] if multi else []) + [measure]
        run = self.launch(prefix + list(argv), outputs, env, timeout, fresh)
        with open(measure, encoding='ascii') as f:
            values = dict(line.split() for line in f)
        run.peak_kb = int(values['peak_kb'])
        run.wall_s = int(values['wall_us']) / 1e6
        return run

    def on_quire(self, argv, mem_kb=65536, swap_kb=524288, flags=(), outputs=(), env=None,
                 timeout=None, fresh=True, nodes=False, until=None):
        """With nodes, the flags say what RAM the machine has. until: see launch()."""
        report = os.path.join(self.tmp, 'report.json')
        if os.path.exists(report):
            os.unlink(report)
        command = [self.quire, 'run', *([] if nodes else ['--mem', f'{mem_kb}K']),
                   '--swap', f'{swap_kb}K' if swap_kb else '0',
                   '--report', report, '--json', *self.options.quire_arg, *flags, '--', *argv]
        run = self.launch(command, outputs, env, timeout, fresh, until)
        if os.path.exists(report):
            with open(report, encoding='utf-8') as f:
                text = f.read()
            try:
                run.report = json.loads(text)
            except ValueError as error:
                raise Failure(f'the report is not JSON: {error}\n{text[:400]}') from error
        return run

    def launch(self, argv, outputs=(), env=None, timeout=None, fresh=True, until=None):
        """Runs argv to its end in the working directory; nothing it started may be left.

        With until, the file STOP is made there once standard error has this text: a program that
        waits for it ends after what it is to see, however slow the machine is.
        """
        if fresh:
            shutil.rmtree(self.work, ignore_errors=True)
            os.makedirs(self.work)
            os.chmod(self.work, 0o777)
        out, err = os.path.join(self.tmp, 'stdout'), os.path.join(self.tmp, 'stderr')
        with open(out, 'wb') as stdout, open(err, 'wb') as stderr:
            start = time.monotonic()
            process = self.start(argv, stdout, stderr, env)
            if until:
                self.until(process, lambda: until.encode() in read(err))
                self.stop()
            status = self.wait(process, timeout)
            wall_s = time.monotonic() - start
        left = self.left_behind()
        result = Run(status, read(out), read(err), wall_s,
                     outputs={name: digest(os.path.join(self.work, name)) for name in outputs})
        if left:
            self.end_descendants()
            raise Failure(f'left behind: {left}')
        return result

    def start(self, argv, stdout, stderr, env=None):
        environment = {**ENVIRONMENT, 'HOME': self.work, 'TMPDIR': self.tmp, **(env or {})}
        return subprocess.Popen(argv, cwd=self.work, env=environment, stdin=subprocess.DEVNULL,
                                stdout=stdout, stderr=stderr, start_new_session=True)

    def wait(self, process, timeout=None):
        """The exit status, as a shell gives it; Failure if the time is up."""
        limit = self.deadline - time.monotonic()
        if timeout is not None:
            limit = min(limit, timeout * self.options.patience)
        try:
            status = process.wait(max(limit, 0.1))
        except subprocess.TimeoutExpired:
            where = describe_stuck(descendants())
            self.end_descendants()
            process.wait()
            raise Failure(f'did not end in time{where}') from None
        return 128 - status if status < 0 else status

    def stop(self):
        """The program that waits for it may end."""
        with open(os.path.join(self.work, STOP), 'wb'):
            pass

    def until(self, process, condition):
        """Waits for a condition, the end of the process or of the time."""
        while not condition() and process.poll() is None and time.monotonic() < self.deadline:
            time.sleep(0.01)

    def programs(self, process, name):
        """Processes below this one that execute a program; it comes before its agent."""
        found = []
        for pid in descendants(process.pid):
            try:
                path = os.readlink(f'/proc/{pid}/exe')
            except OSError:
                continue                         # it has ended
            if comm(pid) == name and path != os.path.realpath(self.quire):
                found.append(pid)
        return found

    def left_behind(self, grace_s=3.0):
        """Descendants still alive after the grace time."""
        end = time.monotonic() + grace_s * self.options.patience
        while True:
            left = [pid for pid in descendants() if alive(pid)]
            if not left or time.monotonic() > end:
                return ', '.join(f'{pid} ({comm(pid)})' for pid in left)
            time.sleep(0.02)

    def end_descendants(self):
        for _ in range(50):
            left = [pid for pid in descendants() if alive(pid)]
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.reap()
            if not left:
                return
            time.sleep(0.02)

    @staticmethod
    def reap():
        """Orphans come to us, the subreaper: bury those that Popen does not know."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def same(native, run, normalise=None):
    """Raises Failure unless the run on Quire gave what the native one gave."""
    if native.status != run.status:
        raise Failure(f'exit status {run.status}, natively {native.status}' + last(run.stderr))
    expected, got = native.stdout, run.stdout
    if normalise:
        expected, got = normalise(expected), normalise(got)
    if expected != got:
        raise Failure('output differs: ' + first_difference(expected, got) + last(run.stderr))
    for name, value in native.outputs.items():
        if value != run.outputs[name]:
            raise Failure(f'{name} differs')


def expect_status(run, status):
    if run.status != status:
        raise Failure(f'exit status {run.status}, expected {status}' + last(run.stderr))


def expect(condition, text):
    if not condition:
        raise Failure(text)


def first_difference(expected, got):
    a, b = expected.split(b'\n'), got.split(b'\n')
    for number, (x, y) in enumerate(zip(a, b), 1):
        if x != y:
            return f'line {number}: {show(y)}, natively {show(x)}'
    return f'{len(b) - 1} lines, natively {len(a) - 1}'


def show(line, width=160):
    return repr(line[:width].decode(errors='replace'))


def last(text, lines=6):
    kept = [line for line in text.decode(errors='replace').split('\n') if line.strip()]
    return ''.join('\n        ' + line[:200] for line in kept[-lines:])


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def digest(path):
    if not os.path.exists(path):
        return 'absent'
    return hashlib.sha256(read(path)).hexdigest()


def children_of(pid):
    result = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as f:
                result += [int(word) for word in f.read().split()]
    except OSError:
        pass
    return result


def descendants(pid=None):
    result = []
    for child in children_of(pid or os.getpid()):
        result.append(child)
        result += descendants(child)
    return result


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


def comm(pid):
    try:
        with open(f'/proc/{pid}/comm', encoding='utf-8', errors='replace') as f:
            return f.read().strip()
    except OSError:
        return 'gone'


def describe_stuck(pids):
    """Who is there, in which system call and where in the host kernel."""
    lines = []
    for pid in pids[:12]:
        call = wchan = '?'
        try:
            with open(f'/proc/{pid}/wchan', encoding='ascii') as f:
                wchan = f.read().strip()
            with open(f'/proc/{pid}/syscall', encoding='ascii') as f:
                call = f.read().split()[0]
        except OSError:
            pass
        lines.append(f'\n        {pid} {comm(pid)}: in system call {call}, waits in {wchan}')
    return ''.join(lines)


def size_kb(text):
    """'64M' -> 65536"""
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([KMG]?)', text)
    if not match:
        raise ValueError(f'not a size: {text}')
    return int(float(match.group(1)) * {'K': 1, 'M': 1024, 'G': 1 << 20, '': 1 / 1024}[
        match.group(2)])
