"""debuggers.py - gdb, strace and valgrind work on a program under Quire.

SPDX-License-Identifier: MIT
"""
import os
import re

from harness import program

SAMPLE = r'''
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct node { struct node *next; int value; char text[100]; };
static struct node *push(struct node *list, int value)
{
    struct node *n = malloc(sizeof(*n));
    n->next = list;
    n->value = value;
    snprintf(n->text, sizeof(n->text), "node %d", value);
    return n;
}
static int __attribute__((noinline)) sum(struct node *list)
{
    int s = 0;
    for (; list; list = list->next)
        s += list->value;
    return s;
}
int main(int argc, char **argv)
{
    struct node *list = NULL;
    char *big = malloc(3000000);
    int i;
    memset(big, 1, 3000000);
    for (i = 0; i < 1000; i++)
        list = push(list, i);
    printf("sum %d\n", sum(list));
    fflush(stdout);
    if (argc > 1 && !strcmp(argv[1], "bad"))
        printf("%d\n", ((volatile char *)malloc(10))[10]);
    if (argc > 1 && !strcmp(argv[1], "crash"))
        *(volatile int *)0 = 1;
    return 0;
}
'''


def build(bench, *flags):
    source = bench.write('sample.c', SAMPLE)
    target = os.path.join(bench.inputs, 'sample')
    bench.native(['/usr/bin/gcc', '-g', '-O0', '-w', *flags, source, '-o', target])
    return target


def no_numbers(text):
    """Addresses, process ids and times vary from run to run."""
    text = re.sub(rb'0x[0-9a-f]+', b'0x', text)
    text = re.sub(rb'\bprocess \d+', b'process', text)
    return text


def gdb_session(bench, *flags):
    bench.need('gdb')
    commands = ['set confirm off', 'set debuginfod enabled off', 'set width 0',
                'break sum', 'run', 'backtrace', 'print list->value', 'print list->next->text',
                'set var list->value = 5000', 'x/4xb list->text', 'next', 'watch s', 'continue',
                'up', 'print i', 'print *big@4', 'delete', 'tbreak 32', 'continue',
                'print sum(list)', 'continue', 'run crash', 'backtrace',
                'print $_siginfo.si_signo', 'print $_siginfo._sifields._sigfault.si_addr', 'kill']
    argv = ['/usr/bin/gdb', '-nx', '-batch']
    for command in commands:
        argv += ['-ex', command]
    return argv + ['--args', build(bench, *flags)]


@program('gdb', mem=('256M',), timeout=90, normalise=no_numbers)
def gdb(bench):
    """gdb on Quire: breakpoints, backtrace, memory, watchpoints, calls in the program, a crash"""
    return gdb_session(bench)


@program('gdb-no-pie', mem=('256M',), timeout=90, normalise=no_numbers)
def gdb_no_pie(bench):
    """the same with a program at low addresses"""
    return gdb_session(bench, '-no-pie')


@program('gdb-quire-program', mem=('256M',), timeout=90, normalise=no_numbers)
def gdb_attach(bench):
    """gdb attaches to a process that runs on Quire, and detaches"""
    bench.need('gdb')
    target = bench.compile('hog')
    script = f'''
{target} 8 tell ready await stop &
until test -e ready; do sleep 0.05; done
gdb -nx -batch -ex 'set debuginfod enabled off' -p $! -ex 'frame function main' -ex 'print pages' \
    -ex 'x/2gx memory' -ex detach 2>/dev/null | grep -E '^\\$|^0x.*:' | sed 's/^0x[^:]*//'
touch stop
wait $!
echo "ended: $?"
'''
    return ['/bin/bash', bench.write('attach.sh', script)]


@program('strace', mem=('64M',), timeout=60)
def strace(bench):
    """strace on Quire sees the same calls"""
    bench.need('strace')
    target = build(bench)
    script = f'''
strace -f -o log -e trace=write,exit_group,brk {target} || exit 1
grep -c brk log >/dev/null && grep -E 'write|exit' log | sed 's/^[0-9]* *//'
strace -c -o summary /bin/echo counted && grep -c 'calls' summary
'''
    return ['/bin/bash', bench.write('strace.sh', script)]


@program('strace-crowd', mem=('128M',), timeout=60)
def strace_crowd(bench):
    """twelve straces at once, each of which first kills children of its own as they begin"""
    bench.need('strace')
    return ['/bin/bash', '-c', '''
for round in 1 2 3 4 5 6; do
    pids=
    for i in $(seq 12); do
        strace -f -o log$i -e trace=exit_group /bin/true &
        pids="$pids $!"
    done
    for pid in $pids; do wait $pid || echo "status $?"; done
    cat log* | grep -c 'exit_group(0)'
done''']


@program('valgrind', mem=('512M',), timeout=120)
def valgrind(bench):
    """valgrind on Quire finds the bad read and the leaks

    The block of 3,000,000 bytes is left out: it is sometimes only "possibly lost". It lies at
    some 78 to 81 million, and ld.so keeps how many cycles it took to load the program.
    """
    bench.need('valgrind')
    target = build(bench)
    script = f'''
valgrind --error-exitcode=9 --leak-check=full --log-file=log {target} bad
echo "status $?"
sed 's/^==[0-9]*== *//; s/0x[0-9A-F]*/0x/g' log |
    grep -E 'Invalid read|ERROR SUMMARY|blocks are definitely lost|total heap usage' |
    grep -v ^3,000,000
'''
    return ['/bin/bash', bench.write('valgrind.sh', script)]
