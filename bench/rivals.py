"""rivals.py - what Quire is measured against: a memory cgroup with swap, and User Mode Linux.

All leave the host as they found it: swap file, cgroup and processes go away on any exit.

SPDX-License-Identifier: MIT
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

V1 = '/sys/fs/cgroup/memory'
V2_PLACES = ('/sys/fs/cgroup', '/sys/fs/cgroup/unified')


class Unavailable(Exception):
    """Why a rival cannot be measured here."""


def write(path, value):
    with open(path, 'w', encoding='ascii') as f:
        f.write(str(value))


class Cgroup:
    """A memory cgroup, and a swap file on the given directory's file system for it."""

    def __init__(self, directory, swap_mb=2048):
        if os.getuid() != 0:
            raise Unavailable('a memory cgroup needs root')
        self.swap_path = os.path.join(directory, 'host-swap')
        self.swapping = False
        self.path = None
        self.limit_file = None
        try:
            self.make_cgroup()
            self.make_swap(swap_mb)
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise Unavailable(f'no memory cgroup with swap: {error}') from error

    def make_cgroup(self):
        name = f'quire-bench-{os.getpid()}'
        if os.path.exists(V1 + '/memory.limit_in_bytes'):
            self.path = os.path.join(V1, name)
            self.limit_file = 'memory.limit_in_bytes'
        else:
            for place in V2_PLACES:
                if os.path.exists(place + '/cgroup.controllers'):
                    write(place + '/cgroup.subtree_control', '+memory')
                    self.path = os.path.join(place, name)
                    self.limit_file = 'memory.max'
                    break
        if self.path is None:
            raise Unavailable('no memory cgroup controller')
        os.mkdir(self.path)

    def make_swap(self, megabytes):
        with open(self.swap_path, 'wb') as f:
            os.fchmod(f.fileno(), 0o600)
            os.posix_fallocate(f.fileno(), 0, megabytes << 20)      # no holes: swapon asks for that
        for command in (['mkswap', self.swap_path], ['swapon', self.swap_path]):
            subprocess.run(['/sbin/' + command[0], *command[1:]], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.swapping = True

    def limit(self, kilobytes):
        write(os.path.join(self.path, self.limit_file), kilobytes * 1024)

    def command(self, argv):
        """argv, run inside the cgroup."""
        return ['/bin/sh', '-c', f'echo $$ >{self.path}/cgroup.procs && exec "$@"', 'sh', *argv]

    def end_processes(self):
        with open(os.path.join(self.path, 'cgroup.procs'), encoding='ascii') as f:
            for pid in f.read().split():
                os.kill(int(pid), signal.SIGKILL)

    def close(self):
        if self.path and os.path.isdir(self.path):
            self.end_processes()
        if self.swapping:
            subprocess.run(['/sbin/swapoff', self.swap_path], check=False)
            self.swapping = False
        if os.path.exists(self.swap_path):
            os.unlink(self.swap_path)
        if self.path and os.path.isdir(self.path):
            for _ in range(50):
                try:
                    os.rmdir(self.path)
                    return
                except OSError:
                    time.sleep(0.1)


LOADER = '/lib64/ld-linux-x86-64.so.2'


def mapped_files(bench, argv):
    """The programs and libraries that a run of argv maps, itself included."""
    trace = os.path.join(bench.tmp, 'trace')
    if not shutil.which('strace'):
        raise Unavailable('no strace, which tells the files that a program maps')
    bench.native(['strace', '-f', '-y', '-qq', '-e', 'trace=execve,mmap', '-o', trace, *argv])
    with open(trace, encoding='utf-8', errors='replace') as f:
        text = f.read()
    found = re.findall(r'execve\("(/[^"]+)".* = 0$', text, re.MULTILINE)
    found += re.findall(r'mmap\(.*MAP_PRIVATE.*\d<(/[^>]+)>', text)
    found = {os.path.realpath(path) for path in (*found, LOADER)}
    return sorted(path for path in found
                  if not path.startswith(bench.top) and os.path.isfile(path))


class OwnFiles:
    """Copies of files, in their places for one program, and in nobody's memory when it starts.

    Text that the host has cached already is free of charge in a memory cgroup; in a machine of
    Quire's it is not. With these, it is in neither. What reads them finds them in the host's cache
    of the image, as Quire does.
    """

    SCRIPT = ('while [ $# -gt 0 ]; do mount --bind "$2" "$1" || exit 1; shift 2; done; '
              'echo ready; read end')

    def __init__(self, directory, paths):
        self.folder = tempfile.mkdtemp(prefix='files-', dir=directory)
        os.chmod(self.folder, 0o755)
        self.image = self.folder + '.img'
        self.namespace = None
        try:
            self.mount(sum(os.path.getsize(path) for path in paths))
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise Unavailable(f'no loop device for files of its own: {error}') from error
        pairs = []
        for number, path in enumerate(paths):
            copy = os.path.join(self.folder, str(number))
            shutil.copy2(path, copy)
            pairs += [path, copy]
        self.copies = pairs[1::2]
        with subprocess.Popen(['unshare', '-m', '--propagation', 'private', 'sh', '-c',
                               self.SCRIPT, 'sh', *pairs], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
            ready = holder.stdout.readline()
            if ready:
                self.namespace = os.open(f'/proc/{holder.pid}/ns/mnt', os.O_RDONLY)
            holder.stdin.close()
        if not ready:
            self.close()
            raise Unavailable('no mount namespace for a program with files of its own')

    def mount(self, size):
        """A file system of their own, with Linux's default readahead: the disk's can be larger."""
        with open(self.image, 'wb') as f:
            f.truncate(size + size // 8 + (16 << 20))
        subprocess.run(['/sbin/mkfs.ext4', '-q', '-F', self.image], check=True)
        subprocess.run(['mount', '-o', 'loop', self.image, self.folder], check=True)
        os.chmod(self.folder, 0o755)
        device = os.stat(self.folder).st_dev
        write(f'/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb', 128)

    def command(self, directory, argv):
        """argv, run in the directory with the copies in place, which nobody has in memory."""
        for copy in self.copies:
            fd = os.open(copy, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
        return ['nsenter', f'--mount=/proc/{os.getpid()}/fd/{self.namespace}',
                f'--wd={directory}', *argv]

    def close(self):
        if self.namespace is not None:
            os.close(self.namespace)
        if os.path.ismount(self.folder):
            subprocess.run(['umount', self.folder], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(self.image):
            os.unlink(self.image)


class UserModeLinux:
    """Debian's linux.uml on a throw-away root with a static busybox and static programs."""

    def __init__(self, directory, programs):
        self.linux = shutil.which('linux.uml')
        busybox = '/bin/busybox'
        if not self.linux or not os.path.exists(busybox):
            raise Unavailable('no linux.uml or no static busybox here')
        self.root = tempfile.mkdtemp(prefix='uml-', dir=directory)
        for folder in ('bin', 'dev', 'proc', 'tmp'):
            os.mkdir(os.path.join(self.root, folder))
        shutil.copy(busybox, self.root + '/bin/busybox')
        os.symlink('busybox', self.root + '/bin/sh')
        os.symlink('busybox', self.root + '/bin/true')
        for name, path in programs.items():
            shutil.copy(path, os.path.join(self.root, 'bin', name))

    def run(self, script, timeout=60):
        """Boots, runs the script, halts; returns what it wrote to /tmp/out, and the seconds."""
        init = os.path.join(self.root, 'init')
        out = os.path.join(self.root, 'tmp/out')
        with open(init, 'w', encoding='ascii') as f:
            f.write('#!/bin/sh\nbusybox mount -t proc proc /proc\n'
                    f'{{ {script}; }} >/tmp/out 2>&1\nbusybox poweroff -f\n')
        os.chmod(init, 0o755)
        start = time.monotonic()
        try:
            subprocess.run([self.linux, 'mem=512M', 'rootfstype=hostfs', f'rootflags={self.root}',
                            'rw', 'init=/init', 'con=null', 'con0=null', 'quiet',
                            f'uml_dir={self.root}/tmp'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=timeout, check=False,
                           cwd=self.root, env={'PATH': os.environ['PATH'], 'HOME': self.root,
                                               'TMPDIR': '/dev/shm'})
        except subprocess.TimeoutExpired as error:
            raise Unavailable('linux.uml did not end in time') from error
        seconds = time.monotonic() - start
        if not os.path.exists(out):
            raise Unavailable('linux.uml did not run the script')
        with open(out, encoding='ascii', errors='replace') as f:
            return f.read(), seconds

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)
