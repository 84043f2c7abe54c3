"""physical.py - the sections pages, frag and slab of bench/run: mm/phys and mm/kmem, without a
program.

The C programs measure, round by round in turn with their rivals; here are medians and the table.

SPDX-License-Identifier: MIT
"""
import glob
import os
import statistics
import subprocess

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
FLAGS = ('-std=gnu11 -O2 -g -fno-strict-aliasing -fno-builtin-malloc -Imm -I. -Iinclude').split()
MIB = 4096              # frames of the page allocator's rows
STEPS = 5000000         # of the mix of lifetimes
RIVALS = ('jemalloc.so.2', 'tcmalloc_minimal.so.4', 'mimalloc.so.2.0')
# Most ns of a get and of a put, by order; two threads may take a quarter more, and so may, of what
# random order takes, frames that were mixed: half as much again.
WANTED = {('0', 'repeat'): (8, 8), ('0', 'bulk'): (20, 25), ('0', 'random'): (20, 25),
          ('9', 'repeat'): (25, 30), ('9', 'bulk'): (25, 30), ('9', 'random'): (25, 30)}


def compiled(bench, source, *flags):
    """A bench program with the core's sources, as an embedder compiles them."""
    path = os.path.join(bench.bin, os.path.basename(source)[:-2])
    if not os.path.exists(path):
        core = [name for folder in ('base', 'phys', 'kmem')
                for name in sorted(glob.glob(f'mm/{folder}/*.c', root_dir=TOP))
                if not name.endswith(('_test.c', '_bench.c'))]
        subprocess.run(['gcc', *FLAGS, *flags, *core, source, '-o', path, '-lpthread'], cwd=TOP,
                       check=True)
    return path


def lines(command, preload=None):
    environment = {**os.environ, 'LD_PRELOAD': preload} if preload else None
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    if not done.stdout:
        done.check_returncode()
    return [line.split() for line in done.stdout.splitlines()]


def best(figures, names):
    """The least of the named figures, and its name."""
    return min((figures[name], name) for name in names if name in figures)


def others(figures, names):
    return ', '.join(f'{name} {figures[name]:.1f}' for name in names if name in figures)


# --- pages ---

def pages_row(table, key, side, figures, ours):
    """key: order, pattern, threads; side: 0 get, 1 put; ours: key -> what ours takes."""
    order, pattern, threads = key
    wanted = WANTED.get((order, 'random' if pattern == 'mixed' else pattern))[side]
    wanted *= (1.25 if threads == '2' else 1) * (1.5 if pattern == 'mixed' else 1)
    rival, name = best(figures, ('buddy', 'pcp'))
    note = f'{name}; {others(figures, ("frames", "misses"))}'
    if threads == '2':
        note += f'; {figures["pages"] / ours[order, pattern, "1"][side]:.2f} of one thread'
    if pattern == 'mixed':
        note += f'; {figures["pages"] / ours[order, "random", threads][side]:.2f} of random'
    what = ('get+put' if pattern == 'repeat' else 'get' if side == 0 else 'put')
    table.add('pages', f'order {order} {pattern} {threads}t {what}', 'ns',
              figures.get('floor'), figures['pages'], rival, figures['pages'] / rival, note,
              wanted=f'{wanted:.0f}')


def page_rows(meter, table):
    table.head(f'Pages of {MIB} MiB, thread CPU time of a get or a put (rival: textbook buddy, or '
               'with per-CPU lists)', native='floor')
    found = {}
    for name, order, pattern, threads, *sides in lines(
            [compiled(meter.bench, 'mm/phys/alloc_bench.c'), str(MIB), str(meter.runs)]):
        row = found.setdefault((order, pattern, threads), {})
        row.setdefault(name, []).append([float(side) for side in sides])
    medians = {key: {name: [statistics.median(column) for column in zip(*values)]
                     for name, values in row.items()} for key, row in found.items()}
    ours = {key: row['pages'] for key, row in medians.items()}
    for key, row in medians.items():
        for side in (0,) if key[1] == 'repeat' else (0, 1):
            pages_row(table, key, side, {name: value[side] for name, value in row.items()}, ours)


# --- fragmentation ---

def frag_rows(meter, table):
    table.head(f'Free memory usable at order 9 after {STEPS} allocations and frees, 1 GiB, 10 % '
               'free (rival: one migrate type for all)')
    rows = {name: [float(figure) for figure in figures] for name, *figures in
            lines([compiled(meter.bench, 'mm/phys/frag_bench.c'), str(STEPS)])}
    types, one = rows['types'], rows['one-type']
    table.add('frag', 'before compaction', '%', None, types[0], one[0])
    table.add('frag', 'after compaction', '%', None, types[1], one[1],
              types[1] / one[1] if one[1] else None,
              f'{types[2]:.0f} pages moved in {types[3]:.1f} ms, {one[2]:.0f} without types',
              wanted='2x')


# --- objects ---

def slab_rounds(meter):
    """(size, pattern) -> name -> ns, each a median; the allocators take turns."""
    # Where a loop of the patterns happens to lie is worth a tenth of what it measures.
    program = compiled(meter.bench, 'mm/kmem/slab_bench.c', '-falign-functions=64',
                       '-falign-loops=64')
    ways = [('own', None), ('glibc', None)]
    for rival in RIVALS:
        found = glob.glob(f'/usr/lib/*/lib{rival}')
        if found:
            ways.append((rival.split('.', maxsplit=1)[0].replace('_minimal', ''), found[0]))
    figures = {}
    for _ in range(2 * meter.runs):
        for way, preload in ways:
            for name, size, pattern, took in lines([program, way, '1'], preload):
                row = figures.setdefault((size, pattern), {})
                row.setdefault(name, []).append(float(took))
    return {key: {name: statistics.median(values) for name, values in row.items()}
            for key, row in figures.items()}


def slab_rows(meter, table):
    table.head('Objects, thread CPU time of an alloc or a free (rival: the fastest malloc)',
               native='floor')
    mallocs = ('glibc', 'jemalloc', 'tcmalloc', 'mimalloc')
    figures = slab_rounds(meter)
    for ours in ('kmem', 'kmalloc'):
        for (size, pattern), row in figures.items():
            floor = row.get('floor')
            rival, name = best(row, mallocs)
            note = f'{name}; {others(row, ("stack", *(m for m in mallocs if m != name)))}'
            if floor:
                note += f'; {row[ours] / floor:.2f} of the floor'
            wanted = min(rival, 1.3 * floor) if floor and ours == 'kmem' else rival
            table.add('slab', f'{ours} {size} {pattern}', 'ns', floor, row[ours], rival,
                      row[ours] / rival, note, wanted=f'{wanted:.1f}')
