"""memory.py - memory that moves, comes and goes, and has nodes, while programs run on it.

SPDX-License-Identifier: MIT
"""
import os
import re
import socket
import subprocess
import time

from harness import STOP, Failure, check, expect, expect_status, same

MIB = '24'          # of the pattern program


def orders(*pairs):
    return [word for when, what in pairs for word in ('--at', f'{when}ms:{what}')]


def under_orders(bench, plan, program, mem_kb, flags=(), swap_kb=262144, nodes=False):
    """Runs a program on Quire that ends when STOP is there, which is after the plan's last order.

    The plan has pairs of milliseconds and an order. One is added, whose answer says that it is its
    turn; it is not counted.
    """
    last = max(when for when, what in plan)
    run = bench.on_quire(program, mem_kb, swap_kb, [*flags, *orders(*plan, (last, 'memory'))],
                         nodes=nodes, until=f'at {last / 1000:.3f} s: memory\n')
    if run.report:
        run.report['actions']['done'] -= 1
    return run


def pattern(bench, plan, mem_kb, *flags, **kwargs):
    """Runs the pattern program natively, and on Quire with these orders; the run on Quire."""
    program = [bench.compile('pattern'), MIB, '0.3']
    native = bench.native(program)
    run = under_orders(bench, plan, [*program, STOP], mem_kb, flags, **kwargs)
    same(native, run)
    return run


def expect_orders(run, done, failed=0):
    got = run.report['actions']
    expect(got == {'done': done, 'failed': failed}, f'orders: {got}: {run.stderr.decode()[-400:]}')


AGAIN_AND_AGAIN = [(200 + 150 * i, what) for i in range(10) for what in ('compact', 'check')]


@check('migrate-compact')
def compact(bench):
    """all zones are compacted again and again under a program with threads and children"""
    run = pattern(bench, AGAIN_AND_AGAIN, 98304)
    expect_orders(run, 20)
    moved = run.counter('pgmigrate_success')
    expect(moved > 1000, f'only {moved} pages moved')
    expect(run.counter('compact_migrate_scanned') >= moved, 'moved more than was scanned')
    expect(run.counter('compact_isolated') >= moved, 'moved more than was isolated')
    return f'{moved} pages moved, {run.counter("pgmigrate_fail")} not'


@check('migrate-swap')
def compact_with_swap(bench):
    """compaction while the same pages go to swap and come back"""
    run = pattern(bench, AGAIN_AND_AGAIN, 28672)
    expect_orders(run, 20)
    expect(run.counter('pswpout') > 500, f'only {run.counter("pswpout")} pages swapped out')
    expect(run.counter('pgmigrate_success') > 100, 'hardly a page moved')
    expect(run.counter('slabs_scanned') > 0, 'no kernel object was looked at')
    return f'{run.counter("pgmigrate_success")} pages moved, {run.counter("pswpout")} swapped out'


@check('migrate-contig')
def contig(bench):
    """ranges that the program uses are had in one piece, for a moment"""
    run = pattern(bench, [(400, 'contig 64M-96M'), (700, 'contig 96M-128M'),
                          (1000, 'contig 80M-112M')], 131072, '--movable', '64M')
    expect_orders(run, 3)
    moved = run.counter('pgmigrate_success')
    expect(moved > 2000, f'only {moved} pages moved')
    return f'{moved} pages moved'


@check('migrate-programs')
def programs(bench):
    """threads, signals, forks and shared memory while ranges are cleared and zones compacted"""
    plan = [(40 * i, what) for i in range(1, 11)
            for what in ('compact', 'contig 16M-32M', 'check', 'contig 32M-48M')]
    moved = 0
    for program in (['threads', '300', '300'], ['signals'], ['shared']):
        argv = [bench.compile(program[0]), *program[1:]]
        native = bench.native(argv)
        run = bench.on_quire(argv, 65536, 262144, ['--page-poison', *orders(*plan)])
        same(native, run)
        moved += run.counter('pgmigrate_success')
    expect(moved > 1000, f'only {moved} pages moved')
    return f'{moved} pages moved'


@check('hotplug')
def hotplug(bench):
    """memory is added, goes online, offline and away, three times, under a program"""
    plan = [(0, 'add 64M-128M'), (0, 'online_movable 64M-128M')]
    for at in (800, 1400):
        plan += [(at, 'offline 64M-128M'), (at, 'check'), (at + 200, 'online_movable 64M-128M')]
    plan += [(2000, 'offline 64M-128M'), (2010, 'memory'), (2020, 'remove 64M-128M'),
             (2020, 'check')]
    run = pattern(bench, plan, 65536, '--max-mem', '128M', '--page-poison')
    expect_orders(run, 12)
    expect(b'64M-128M node 0 zone Movable offline' in run.stderr, run.stderr.decode()[-300:])
    expect(run.report['ram_kb'] == 65536, f'{run.report["ram_kb"]} kB of RAM at the end')
    expect(run.counter('pgalloc_movable') > 1000, 'the new memory was hardly used')
    moved = run.counter('pgmigrate_success')
    expect(moved > 500, f'only {moved} pages moved')
    return f'{moved} pages moved'


@check('hotplug-grow')
def grow(bench):
    """a program that would be killed for lack of memory is saved by memory that comes in time"""
    hog = [bench.compile('pattern'), '40', '0.5']
    always = ['--set', 'overcommit_memory=1']
    dead = bench.on_quire(hog, 40960, 0, always)
    expect_status(dead, 137)
    run = bench.on_quire(hog, 40960, 0, [*always, '--max-mem', '128M', *orders(
        (0, 'add 40M-128M'), (0, 'online 40M-128M'))])
    expect_status(run, 0)
    expect_orders(run, 2)
    expect(run.report['ram_kb'] == 131072, f'{run.report["ram_kb"]} kB of RAM at the end')


@check('hotplug-refused')
def refused(bench):
    """what cannot go offline stays, wrong orders are refused, and the program does not notice"""
    run = pattern(bench, [
        (200, 'offline 62M-64M'), (300, 'offline 1M-3M'), (400, 'remove 32M-64M'),
        (450, 'add 32M-64M'), (500, 'online 64M-128M'), (550, 'add 64M-256M'), (600, 'offline'),
        (650, 'set swappiness 10'), (700, 'set swappiness many'), (750, 'dance')],
                  65536, '--max-mem', '128M')
    expect_orders(run, 1, 9)
    text = run.stderr.decode()
    expect("cannot move: the machine's own tables" in text, f'does not say why: {text[-600:]}')
    expect('orders are: add online' in text, f'does not say which orders there are: {text[-600:]}')


@check('hotplug-sparse')
def sparse(bench):
    """the same with SPARSEMEM, whose maps come and go with their sections"""
    plan = [(0, 'add 128M-256M'), (0, 'online_movable 128M-256M'), (1000, 'offline 128M-256M'),
            (1000, 'remove 128M-256M'), (1000, 'add 128M-256M'), (1100, 'online 128M-256M'),
            (1110, 'check')]
    run = pattern(bench, plan, 131072, '--max-mem', '256M', '--memory-model', 'sparse')
    expect_orders(run, 7)
    expect(run.counter('pgmigrate_success') > 500, 'hardly a page moved')


@check('hotplug-discontig')
def discontig(bench):
    """DISCONTIGMEM: a node's hole and a node without memory are filled; no map grows"""
    path = bench.write('m.toml', 'model = "discontig"\nmax = "256M"\n'
                                 '[[node]]\nmemory = ["0-64M", "80M-96M"]\n[[node]]\n')
    run = pattern(bench, [
        (0, 'add 64M-80M'), (0, 'online 64M-80M'), (0, 'add 128M-192M 1'),
        (0, 'online 128M-192M'), (10, 'add 96M-112M'), (10, 'add 192M-224M 1'),
        (700, 'offline 128M-192M'), (700, 'remove 128M-192M'), (710, 'check'),
        (720, 'add 96M-128M 1'), (720, 'online 96M-128M'), (800, 'offline 64M-80M'),
        (800, 'remove 64M-80M'), (810, 'check')], 0, '--machine', path, nodes=True)
    expect_orders(run, 12, 2)
    text = run.stderr.decode()
    expect(text.count("a node's map cannot grow") == 2, text)
    expect([node['total_kb'] for node in run.report['nodes']][1] > 30000, 'node 1 is not there')
    expect(run.report['ram_kb'] == (80 + 32) * 1024, f'{run.report["ram_kb"]} kB at the end')


@check('cma')
def cma(bench):
    """an area that the program's pages borrow is had in one piece, kept, and given back"""
    flags = ['--cma', '16M', '--page-poison', '--page-owner']
    boot = bench.launch([bench.quire, 'run', '--mem', '64M', *flags, '--verbose', '--quiet', '--',
                         '/bin/true']).stderr.decode()
    found = re.search(r'cma: Reserved 16 MiB at (0x[0-9a-f]{16}) on node 0', boot)
    expect(found, boot)
    at = int(found[1], 16) >> 20

    def part(start, end):
        return f'{at + start}M-{at + end}M'

    run = pattern(bench, [
        (300, 'cma_alloc 12M'), (310, 'check'), (320, 'cma_alloc 8M'), (330, 'owners'),
        (600, f'cma_release {part(0, 1)}'), (700, f'cma_release {part(0, 1)}'),
        (750, 'cma_release 0-2M'), (900, f'cma_release {part(1, 12)}'),
        (950, 'cma_alloc 16M'), (960, 'check')], 65536, *flags)
    text = run.stderr.decode()
    for mib in (12, 16):
        expect(f'{at << 10}K-{(at + mib) << 10}K' in text, text)
    expect_orders(run, 7, 3)
    expect('    3072 pages  taken from the CMA area' in text, text)
    expect(' (pattern)' in text and 'slab vm_area_struct' in text, text)
    expect('allocated via order 0, mask' in text and 'GFP_HIGHUSER_MOVABLE' in text, text)
    expect(run.counter('cma_alloc_success') == 3072 + 4096, 'cma_alloc_success')
    expect(run.counter('cma_alloc_fail') == 2048, 'cma_alloc_fail')
    expect(run.counter('pgmigrate_success') > 1000, 'hardly a page moved')
    plain = bench.launch([bench.quire, 'run', '--mem', '64M', '--cma', '15M', '--', '/bin/true'])
    expect_status(plain, 125)
    expect('not a multiple of 2M' in plain.stderr.decode(), plain.stderr.decode())


def zones(text):
    """What `zoneinfo` says: for each zone a dictionary of its numbers."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith('Node '):
            zone = found.setdefault(words[3], {})
        elif line.startswith('  ') and words[-1].isdigit():
            zone[words[-2]] = int(words[-1])
        elif 'protection' in line:
            zone['protection'] = [int(n) for n in line.partition('(')[2][:-1].split(',')]
    return found


@check('knobs')
def knobs(bench):
    """the knobs of the frames, at the start and while a program runs: effects, ranges, EINVAL"""
    flags = ['--set', 'min_free_kbytes=4096', '--set', 'watermark_scale_factor=100',
             '--set', 'lowmem_reserve_ratio=64,128', '--set', 'percpu_pagelist_high_fraction=8']
    good = ('min_free_kbytes 2048', 'watermark_scale_factor 3000', 'watermark_boost_factor 0',
            'lowmem_reserve_ratio 32 0 16 1', 'lowmem_reserve_ratio=100', 'extfrag_threshold 1000',
            'extfrag_threshold 0', 'compaction_proactiveness 100', 'compaction_proactiveness 0',
            'percpu_pagelist_high_fraction 0', 'percpu_pagelist_high_fraction 100')
    bad = ('min_free_kbytes -1', 'min_free_kbytes 1000000', 'watermark_scale_factor 0',
           'watermark_scale_factor 3001', 'watermark_boost_factor 4294967296',
           'lowmem_reserve_ratio 1 2 3 4 5', 'lowmem_reserve_ratio many', 'extfrag_threshold 1001',
           'compaction_proactiveness 101', 'percpu_pagelist_high_fraction 7', 'swappiness 10 20',
           'swappiness 201')
    run = pattern(bench, [
        (0, 'zoneinfo'), *((200 + 10 * i, f'set {what}') for i, what in enumerate(good)),
        (400, 'zoneinfo'), (400, 'set no_such_knob 1'), *((410, f'set {what}') for what in bad)],
                  98304, *flags)
    expect_orders(run, len(good) + 2, len(bad) + 1)
    text = run.stderr.decode()
    expect(text.count('Invalid argument') == len(bad), text)
    before, after = (zones(part) for part in text.split('zoneinfo\n')[1:])
    normal = before['DMA32']
    expect(abs(before['DMA']['min'] + normal['min'] - 1024) <= 1, f'{before}')
    expect(normal['low'] - normal['min'] == normal['managed'] // 100 or
           normal['low'] - normal['min'] == normal['min'] // 4, f'{before}')
    expect(before['DMA']['protection'][1] == normal['managed'] // 64, f'{before}')
    normal = after['DMA32']
    expect(abs(after['DMA']['min'] + normal['min'] - 512) <= 1, f'{after}')
    expect(normal['low'] - normal['min'] == normal['managed'] * 3 // 10, f'{after}')
    expect(after['DMA']['protection'][1] == normal['managed'] // 100, f'{after}')
    for flag in ('watermark_scale_factor=0', 'extfrag_threshold=1001', 'min_free_kbytes=x',
                 'lowmem_reserve_ratio=1,2,3,4,5,6', 'percpu_pagelist_high_fraction=1'):
        refused_run = bench.launch([bench.quire, 'run', '--set', flag, '--', '/bin/true'])
        expect_status(refused_run, 125)


@check('layout-32')
def layout_32(bench):
    """a 32-bit machine: programs get HighMem first, and what is the kernel's lies below 896M"""
    run = under_orders(bench, [(0, 'zoneinfo'), (0, 'offline 896M-1100M'),
                               (0, 'online 896M-1100M'), (1, 'check')],
                       [bench.compile('hog'), '150', 'await', STOP], 1126400, ['--layout', '32'],
                       swap_kb=0)
    expect_status(run, 0)
    expect_orders(run, 4)
    found = zones(run.stderr.decode())
    expect(list(found) == ['DMA', 'Normal', 'HighMem'], f'{found}')
    expect(found['DMA']['present'] == 4096 and found['Normal']['present'] == 880 * 256 and
           found['HighMem']['present'] == 204 * 256, f'{found}')
    expect(found['HighMem']['managed'] == 204 * 256, f'the kernel has HighMem: {found}')
    expect(found['Normal']['managed'] < 880 * 256, f'the map of all frames is not in {found}')
    high, low = run.counter('pgalloc_high'), run.counter('pgalloc_normal')
    expect(high > 38400, f'only {high} pages of HighMem were used')
    expect(50 < low < 3000, f'{low} pages of Normal were used')
    bad = bench.launch([bench.quire, 'run', '--layout', '16', '--', '/bin/true'])
    expect_status(bad, 125)


@check('highmem')
def highmem(bench):
    """a 32-bit machine full to the brim: HighMem is used, overflows, is passed over, comes back"""
    program = [bench.compile('highmem'), '1165', '150', '4000', '40']
    native = bench.native(program)
    run = bench.on_quire(program, 1228800, 614400, [
        '--layout', '32', *orders((0, 'zoneinfo'), (300, 'check'), (700, 'check'))])
    same(native, run)
    expect_orders(run, 3)
    high = zones(run.stderr.decode())['HighMem']['managed']
    expect(high == 304 * 256, f'HighMem has {high} pages')
    got = {name: run.counter(name) for name in (
        'pgalloc_dma', 'pgalloc_normal', 'pgalloc_high', 'pgskip_high', 'pgskip_normal',
        'pgscan_kswapd', 'pgscan_direct', 'pgscan_anon', 'pgscan_file', 'pgsteal_kswapd',
        'pgsteal_direct', 'pgsteal_anon', 'pgsteal_file', 'pswpin', 'pswpout', 'oom_kill')}
    # What does not fit into HighMem falls back; 150 MiB of it are had twice, and then what was
    # evicted there.
    expect(got['pgalloc_normal'] > (1205 - 304 - 16) * 256, f'no fallback: {got}')
    expect(got['pgalloc_high'] > high + 150 * 256 + 1000, f'HighMem did not come back: {got}')
    expect(got['pgalloc_dma'] < 4096, f'programs have used up the DMA zone: {got}')
    # Page tables want room below 896 MiB: evicting from HighMem would not help.
    expect(got['pgskip_high'] > 1000 and got['pgskip_normal'] == 0, f'{got}')
    expect(got['pswpout'] > 10000 and got['pswpin'] > 10000, f'hardly any swapping: {got}')
    for what in ('pgscan', 'pgsteal'):
        by_whom = got[what + '_kswapd'] + got[what + '_direct']
        expect(by_whom == got[what + '_anon'] + got[what + '_file'], f'{what}: {got}')
    expect(got['pgsteal_anon'] <= got['pgscan_anon'] and got['oom_kill'] == 0, f'{got}')
    return f'{got["pgalloc_high"]} allocations in HighMem, {got["pgskip_high"]} pages passed over'


@check('compact-direct')
def direct(bench):
    """a block of 2 MiB is wanted on a full machine whose free memory is scattered"""
    plan = [(at, what) for at in (1500, 2000, 2500)
            for what in ('add 128M-256M', 'remove 128M-256M')]
    run = under_orders(bench, plan, [bench.compile('pattern'), '76', '0.3', STOP], 131072, [
        '--max-mem', '256M', '--memory-model', 'sparse', '--set', 'compaction_proactiveness=0'],
        swap_kb=131072)
    expect_status(run, 0)
    expect_orders(run, 6)
    expect(run.counter('compact_success') > 0, 'no direct compaction had success')
    expect(run.counter('compact_stall') >= run.counter('compact_success'), 'success without stall')
    return f'{run.counter("compact_success")} of {run.counter("compact_stall")} had success'


def slow_order(path, what):
    """The answer to a client that gets no CPU between its connection and its order."""
    with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as idle:
        idle.connect(path)
        client.connect(path)
        time.sleep(0.3)
        client.sendall(what.encode() + b'\n')
        client.settimeout(30)
        return b''.join(iter(lambda: client.recv(65536), b''))


@check('ctl')
def ctl(bench):
    """quire ctl: orders over the socket, answers, exit statuses; the socket goes with the run"""
    path = os.path.join(bench.tmp, 'ctl')
    report = os.path.join(bench.tmp, 'report.json')

    def order(*words):
        run = subprocess.run([bench.quire, 'ctl', path, *words], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False,
                             timeout=30 * bench.options.patience)
        return run.returncode, run.stdout.decode()

    command = [bench.quire, 'run', '--mem', '96M', '--max-mem', '160M', '--control', path,
               '--json', '--report', report, '--', bench.compile('pattern'), MIB, '0.3', STOP]
    with open(os.path.join(bench.tmp, 'out'), 'wb') as out:
        process = bench.start(command, out, out)
        while order('memory')[0] == 125 and process.poll() is None:
            time.sleep(0.02)
        status, text = order('memory')
        expect(status == 0 and '16M-96M node 0 zone DMA32 online' in text, text)
        time.sleep(0.5)
        for words in (('compact',), ('add', '96M-160M'), ('online_movable', '96M-160M'),
                      ('shrink',), ('check',), ('offline', '96M-160M'), ('remove', '96M-160M')):
            status, text = order(*words)
            expect(status == 0, f'{words}: {text}')
        status, text = order('offline', '94M-96M')
        expect(status == 1 and 'error: Device or resource busy' in text, text)
        expect(order('jump')[0] == 1, 'an unknown order is accepted')
        expect(slow_order(path, 'memory').endswith(b'ok\n'), 'who takes time gets no answer')
        status, text = order('buddyinfo')
        expect(status == 0 and text.startswith('Node 0, zone      DMA '), text)
        expect(order('set', 'min_free_kbytes', '1024')[0] == 0, 'set')
        status, text = order('zoneinfo')
        low = sum(int(line.split()[1]) for line in text.splitlines() if ' min ' in line)
        expect(status == 0 and 250 <= low <= 256, f'min watermarks: {low} pages\n{text}')
        status, text = order('nodes')
        expect(status == 0 and 'numa_hit' in text, text)
        bench.stop()
        expect(bench.wait(process) == 0, 'the program failed')
    expect(not os.path.exists(path), 'the socket is left behind')
    expect(order('memory')[0] == 125, 'somebody answers')


@check('nodes')
def nodes(bench):
    """two nodes: the first one's memory first, then the other's, and numastat tells"""
    run = bench.on_quire([bench.compile('hog'), '80'], 65536, 0,
                         ['--nodes', '2x64M', '--set', 'fault_zero_pages=1'], nodes=True)
    expect_status(run, 0)
    first, second = run.report['nodes']
    expect(run.report['ram_kb'] == 131072, f'{run.report["ram_kb"]} kB of RAM')
    expect(first['total_kb'] < 65536 and second['total_kb'] <= 65536, 'sizes')
    expect(first['numa_foreign'] == second['numa_miss'] > 3000, f'{first} {second}')
    expect(first['numa_miss'] == second['numa_foreign'] == 0, f'{first} {second}')
    expect(first['numa_hit'] == first['numa_local'] > 10000, f'{first}')
    expect(second['numa_other'] == second['numa_miss'], f'{second}')
    for name in ('numa_hit', 'numa_miss', 'numa_foreign', 'numa_local', 'numa_other'):
        expect(run.counter(name) == first[name] + second[name], f'{name}: the sum differs')


@check('nodes-policy')
def policy(bench):
    """interleaving gives both nodes their share; a preferred node comes first"""
    hog = [bench.compile('hog'), '40']
    run = bench.on_quire(hog, 65536, 0, ['--nodes', '2x64M', '--numa-policy', 'interleave',
                                         '--set', 'fault_zero_pages=16'], nodes=True)
    expect_status(run, 0)
    first, second = (node['numa_interleave'] for node in run.report['nodes'])
    expect(first + second == run.counter('numa_interleave') > 10000, f'{first} + {second}')
    expect(abs(first - second) < 1000, f'{first} and {second} pages')
    run = bench.on_quire(hog, 65536, 0, ['--nodes', '2x64M', '--numa-policy', 'preferred:1'],
                         nodes=True)
    expect_status(run, 0)
    second = run.report['nodes'][1]
    expect(second['numa_hit'] == second['numa_other'] > 10000, f'{second}')


MACHINE = '''
# three nodes; the first has a hole, the last is nearer to it than the second
model = "%s"

[[node]]
memory = ["0-64M", "256M-288M"]
cpus = [0]
distance = [10, 30, 20]
[[node]]
memory = ["64M-96M"]
distance = [30, 10, 20]
[[node]]
memory = [ "128M-160M" ]
distance = [20, 20, 10]
'''


@check('machine-file')
def machine_file(bench):
    """nodes, holes and distances from a file, in each memory model"""
    for model in ('flat', 'discontig', 'sparse'):
        path = bench.write(f'{model}.toml', MACHINE % model)
        run = bench.on_quire([bench.compile('hog'), '100'], 65536, 0, ['--machine', path],
                             nodes=True)
        expect_status(run, 0)
        used = [node['numa_hit'] + node['numa_miss'] for node in run.report['nodes']]
        expect(run.report['ram_kb'] == 160 * 1024, f'{model}: {run.report["ram_kb"]} kB of RAM')
        expect(used[0] > used[2] > 1000, f'{model}: pages by node {used}')
        expect(used[1] < 100, f'{model}: the far node was used: {used}')
    for text, word in (('[[node]]\nmemory = ["0-3M"]\n', 'multiple of 2M'),
                       ('[[node]]\nmemory = ["0-64M", "32M-96M"]\n', 'overlap'),
                       ('[[node]]\nmemory = 64\n', 'line 2'), ('', 'no memory'),
                       ('colour = "red"\n', 'line 1'), ('[[node]]\ncpus = [99]\n', 'line 2')):
        run = bench.launch([bench.quire, 'run', '--machine', bench.write('bad.toml', text), '--',
                            '/bin/true'])
        expect_status(run, 125)
        expect(word in run.stderr.decode(), f'{text!r}: {run.stderr.decode()!r}')


def used_pages(run):
    return [node['numa_hit'] + node['numa_miss'] for node in run.report['nodes']]


@check('nodes-64')
def nodes_64(bench):
    """64 nodes in a ring: memory comes from the nearest first, in each memory model"""
    lines = []
    for node in range(64):
        around = [abs(node - other) for other in range(64)]
        distance = ', '.join(str(10 + min(d, 64 - d)) for d in around)
        lines.append(f'[[node]]\nmemory = ["{16 * node}M-{16 * node + 16}M"]\n'
                     f'distance = [{distance}]\n')
    ring = bench.write('ring.toml', ''.join(lines))
    for option, what, model in (('--nodes', '64x16M', 'flat'), ('--machine', ring, 'flat'),
                                ('--machine', ring, 'discontig'), ('--machine', ring, 'sparse')):
        run = under_orders(bench, [(100, 'check')], [bench.compile('hog'), '400', 'await', STOP], 0,
                           [option, what, '--memory-model', model], swap_kb=0, nodes=True)
        expect_status(run, 0)
        expect_orders(run, 1)
        expect(run.report['ram_kb'] == 1 << 20, f'{run.report["ram_kb"]} kB of RAM')
        used = used_pages(run)
        expect(len(used) == 64 and sum(used) > 102400, f'{model}: {used}')
        # 400 MiB are 25 to 29 nodes, at most 15 to each side of node 0. Node 1 may hold the map
        # of all frames, which takes 16 MiB.
        far = [node for node in range(16, 49) if used[node]]
        expect(not far or option == '--nodes', f'{model}: far nodes were used: {far}: {used}')
        near = [node for node in (2, 3, 4, 60, 61) if used[node] < 1000]
        expect(not near or option == '--nodes', f'{model}: near nodes were not: {near}: {used}')


UNEVEN = '''
model = "%s"
[[node]]
memory = ["0-48M", "64M-80M"]       # with a hole
cpus = [0]
distance = [10, 20, 30, 40]
[[node]]
memory = ["80M-144M"]               # no CPU
cpus = []
distance = [20, 10, 40, 30]
[[node]]
cpus = [1]                          # no memory; nearest to node 3
distance = [30, 40, 10, 15]
[[node]]
memory = ["256M-320M"]
distance = [40, 30, 15, 10]
'''


@check('nodes-uneven')
def uneven(bench):
    """nodes without CPUs, without memory and with holes, in each memory model"""
    argv = [bench.compile('cow'), '300', '3']
    native = bench.native(argv)
    for model in ('flat', 'discontig', 'sparse'):
        path = bench.write(f'{model}.toml', UNEVEN % model)
        run = bench.on_quire([bench.compile('hog'), '100'], 0, 0, ['--machine', path], nodes=True)
        expect_status(run, 0)
        used = used_pages(run)
        expect(used[0] > used[1] > 5000, f'{model}: pages by node {used}')
        expect(used[2] == 0 and used[3] < 100, f'{model}: pages by node {used}')
        # Each second child runs on the CPU of the node without memory.
        run = bench.on_quire(argv, 0, 262144, ['--machine', path, *orders((50, 'check'))],
                             nodes=True)
        same(native, run)
        nodes_ = run.report['nodes']
        expect(nodes_[2]['total_kb'] == 0, f'{model}: {nodes_[2]}')
        expect(nodes_[3]['numa_other'] > 200, f'{model}: {nodes_[3]}')
        expect(nodes_[1]['numa_local'] == 0, f'{model}: {nodes_[1]}')


@check('nodes-fork')
def nodes_fork(bench):
    """children are dealt out to the nodes' CPUs in turn, and get memory there"""
    run = bench.on_quire([bench.compile('cow'), '300', '3'], 65536, 262144, ['--nodes', '2x48M'],
                         nodes=True)
    native = bench.native([bench.compile('cow'), '300', '3'])
    same(native, run)
    second = run.report['nodes'][1]
    expect(second['numa_local'] > 200, f'{second}')


@check('kcompactd')
def kcompactd(bench):
    """scattered memory of a program that sleeps is compacted without an order"""
    for _ in range(3):  # it looks twice a second, and leaves it where nothing is scattered
        run = bench.on_quire([bench.compile('pattern'), '24', '1.5'], 131072, 0,
                             ['--set', 'compaction_proactiveness=100'])
        expect_status(run, 0)
        if run.counter('compact_daemon_wake') > 0:
            return f'{run.counter("pgmigrate_success")} pages moved'
    raise Failure('kcompactd never ran')
