"""work.py - the real-program loads of the malloc bench: pure Python, no allocator named.

SPDX-License-Identifier: MIT
"""
import json
import re

words = [f'word{i * 7919 % 10007}' for i in range(60000)]
counts = {}
for w in words:
    counts.setdefault(w, []).append(len(counts))
text = json.dumps(counts)
back = json.loads(text)
assert back == counts
found = re.findall(r'word(\d+)', text)
objects = [{'name': w, 'n': i, 'parts': w.split('o')} for i, w in enumerate(words)]
objects.sort(key=lambda o: (o['name'], -o['n']))
lines = '\n'.join(f"{o['n']}:{o['name']}" for o in objects).split('\n')
print(len(found), len(lines), sum(len(x) for x in lines))
