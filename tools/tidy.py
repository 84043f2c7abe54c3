#!/usr/bin/python3
"""tidy.py - the rules of the house that a machine can check.

usage: tools/tidy.py [--rules]

One problem a line, as `path:line: rule: text`; exit status 1 if there are any. What is not yet as
it should be is listed in tools/tidy-ratchet.txt, as `rule path [limit]`: a listed file may not get
worse, and an entry that is no longer needed is a problem itself, so that the list only shrinks.

SPDX-License-Identifier: MIT
"""
import os
import re
import subprocess
import sys

COLUMNS = 100
FUNCTION_LINES = 70
FILE_LINES = 600
BANNED_WORDS = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX|HA' r'CK)\b')
BANNED_NAMES = {'util', 'utils', 'common', 'misc', 'helper', 'helpers'}
LADDER = re.compile(r'^\w[\w\s*]*?\b(__\w+|do_\w+|\w+_(?:internal|ex|1))\([^;]*$')
FREESTANDING = {'stddef.h', 'stdint.h', 'stdbool.h', 'stdarg.h', 'limits.h', 'stdalign.h',
                'stdatomic.h', 'stdnoreturn.h', 'float.h', 'iso646.h', 'string.h'}
RULES = {
    'layer': 'includes go down: base < phys < table < kmem < store < space < verbs < call',
    'libc': 'the core includes mm/, plat/plat.h and freestanding headers only',
    'columns': f'no line is longer than {COLUMNS} columns',
    'tabs': 'C is indented with tabs; no trailing blanks; files end with a newline',
    'function': f'no function is longer than {FUNCTION_LINES} lines',
    'file': f'no file is longer than {FILE_LINES} lines',
    'name': 'no file is a dumping ground; no __x, do_x, x_internal, x_ex, x_1',
    'spdx': 'every source file has its SPDX line in the opening comment',
    'dead': 'every C file is in a meson.build, every header is included by someone',
    'word': 'no banned words',
    'ratchet': 'the ratchet list has no entry that is not needed',
}

# Rank of each core directory; a file includes its own directory and lower ranks.
RANK = {'base': 0, 'phys': 1, 'table': 2, 'kmem': 3, 'store': 4, 'space': 5,
        'fault': 6, 'reclaim': 6, 'move': 6, 'call': 7, '': 8}
# Outside the core: what each directory may include besides itself.
OUTSIDE = {
    'plat': ('plat/', 'mm/base/'),
    'mmu': ('include/quire/', 'mm/', 'plat/'),
    'cmd': ('include/quire/', 'mmu/', 'plat/', 'view/', 'trace/'),
    'view': ('include/quire/',),
    'trace': ('include/quire/',),
    'malloc': ('include/quire/',),
    'include': (),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


class Tidy:
    def __init__(self, files, ratchet):
        self.files = files
        self.ratchet = ratchet          # (rule, path) -> limit or None
        self.used = set()
        self.problems = []
        self.included = set()
        self.lines = {}
        for path in files:
            with open(path, encoding='utf-8', errors='replace') as f:
                self.lines[path] = f.read().split('\n')

    def problem(self, rule, path, line, text, value=None):
        key = (rule, path)
        if key in self.ratchet:
            limit = self.ratchet[key]
            if limit is None or (value is not None and value <= limit):
                self.used.add(key)
                return
        self.problems.append((rule, f'{path}:{line}: {rule}: {text}'))

    def run(self):
        for path in self.files:
            self.check_text(path)
            if is_c(path):
                self.check_includes(path)
                self.check_functions(path)
        self.check_dead()
        for rule, path in sorted(set(self.ratchet) - self.used):
            self.problems.append(
                ('ratchet', f'tools/tidy-ratchet.txt:1: ratchet: not needed: {rule} {path}'))

    def check_text(self, path):
        lines = self.lines[path]
        source = is_source(path)
        stem = os.path.basename(path).split('.')[0]
        if stem in BANNED_NAMES or stem.split('_')[-1] in BANNED_NAMES:
            self.problem('name', path, 1, f"a file called '{stem}' does not say what it is about")
        if lines[-1] != '':
            self.problem('tabs', path, len(lines), 'no newline at the end of the file')
        if source and len(lines) - 1 > FILE_LINES:
            self.problem('file', path, 1, f'{len(lines) - 1} lines', len(lines) - 1)
        if source and not any('SPDX-License-Identifier: MIT' in line for line in lines[:80]):
            self.problem('spdx', path, 1, 'no SPDX-License-Identifier: MIT')
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                self.problem('tabs', path, number, 'trailing blanks')
            if BANNED_WORDS.search(line):
                self.problem('word', path, number, BANNED_WORDS.search(line).group(0))
            if source and len(line.expandtabs(8)) > COLUMNS:
                width = len(line.expandtabs(8))
                self.problem('columns', path, number, f'{width} columns', width)
            if is_c(path) and re.match(r'\t* {8,}\S', line) and not re.match(r'\s*\*', line) \
                    and not continues_comment(lines, number):
                self.problem('tabs', path, number, 'indented with spaces')

    def check_includes(self, path):
        test = path.endswith(('_test.c', '_bench.c')) or path.startswith(('test/', 'bench/'))
        for number, line in enumerate(self.lines[path], 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = None
            if match.group(1) == '"' or match.group(2).startswith('quire/'):
                target = self.resolve(path, match.group(2))
                if target:
                    self.included.add(target)
            if test:
                continue
            if path.startswith('mm/'):
                self.check_core_include(path, number, match.group(2), target)
            elif target:
                self.check_outside_include(path, number, target)

    def check_core_include(self, path, number, name, target):
        if target is None:
            if name not in FREESTANDING:
                self.problem('libc', path, number, f'the core may not include <{name}>')
        elif target.startswith('mm/'):
            mine, theirs = layer(path), layer(target)
            if mine != theirs and RANK.get(mine, 8) <= RANK.get(theirs, 8):
                self.problem('layer', path, number, f'{mine or "machine"}/ includes {target}')
        elif target != 'plat/plat.h' and not target.startswith('include/quire/'):
            self.problem('layer', path, number, f'the core includes {target}')

    def check_outside_include(self, path, number, target):
        top = path.split('/')[0]
        if top not in OUTSIDE or target.startswith(top + '/'):
            return
        if not target.startswith(OUTSIDE[top]):
            self.problem('layer', path, number, f'{top}/ includes {target}')

    def resolve(self, path, name):
        for folder in (os.path.dirname(path), 'mm', '.', 'include'):
            candidate = os.path.normpath(os.path.join(folder, name))
            if candidate in self.lines:
                return candidate
        return None

    def check_functions(self, path):
        start = None
        for number, line in enumerate(self.lines[path], 1):
            if LADDER.match(line) and not line.startswith(('#', ' ', '\t', 'return')):
                self.problem('name', path, number, LADDER.match(line).group(1))
            if line == '{':
                start = number
            elif line.startswith('}') and start is not None:
                length = number - start + 1
                if length > FUNCTION_LINES:
                    self.problem('function', path, start, f'{length} lines', length)
                start = None

    def check_dead(self):
        listed = ' '.join('\n'.join(self.lines[p]) for p in self.files
                          if p.endswith('meson.build') or p.startswith('test/e2e/')
                          and not is_c(p) or p.startswith('bench/') and not is_c(p))
        for path in self.files:
            name = os.path.basename(path)
            if path.endswith(('.h', '.def')):
                if path not in self.included and not path.startswith('include/quire/'):
                    self.problem('dead', path, 1, 'included by nobody')
            elif path.endswith(('.c', '.S')):
                stem = name if not path.startswith(('test/e2e/', 'bench/')) else name.split('.')[0]
                if not re.search(r'(?<![\w-])' + re.escape(stem) + r'(?!\w)', listed):
                    self.problem('dead', path, 1, 'in no meson.build and no runner')


def is_c(path):
    return path.endswith(('.c', '.h', '.def', '.S'))


def is_source(path):
    return is_c(path) or path.endswith(('.py', '.sh')) or shebang(path)


def shebang(path):
    with open(path, 'rb') as f:
        return f.read(2) == b'#!'


def layer(path):
    parts = path.split('/')
    return parts[1] if len(parts) > 2 else ''


def continues_comment(lines, number):
    """True inside a block comment, where pictures are drawn with spaces."""
    for line in reversed(lines[max(0, number - 80):number - 1]):
        if '*/' in line:
            return False
        if '/*' in line:
            return True
    return False


def tracked_files():
    command = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    if os.path.exists('.git'):
        result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        names = result.stdout.decode().split('\0')
    else:
        names = [os.path.join(folder, name)[2:] for folder, _, files in os.walk('.')
                 for name in files if not folder.startswith('./build')]
    kinds = ('.c', '.h', '.def', '.S', '.py', '.sh', '.build', '.txt', '.lua', '.js', '.sql')
    keep = []
    for name in sorted(set(names)):
        if not name or not os.path.isfile(name) or os.path.islink(name):
            continue
        if name.endswith(kinds) or name == 'Makefile' or shebang(name):
            keep.append(name)
    return keep


def read_ratchet(path):
    entries = {}
    if os.path.exists(path):
        with open(path, encoding='utf-8') as f:
            for line in f:
                words = line.split('#')[0].split()
                if words:
                    entries[words[0], words[1]] = int(words[2]) if len(words) > 2 else None
    return entries


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if '--rules' in sys.argv:
        for rule, text in RULES.items():
            print(f'{rule:10}{text}')
        return 0
    tidy = Tidy(tracked_files(), read_ratchet('tools/tidy-ratchet.txt'))
    tidy.run()
    for _, text in tidy.problems:
        print(text)
    bad = {rule for rule, _ in tidy.problems}
    print(f'tidy: {len(tidy.files)} files, {len(tidy.problems)} problems; '
          f'{len(RULES) - len(bad)} rules passed, {len(bad)} failed')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
