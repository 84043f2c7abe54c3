#!/bin/bash
# demo.sh - a real program in less RAM than it wants: the same answer, and where its memory went.
#
# SPDX-License-Identifier: MIT
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
quire=$(readlink -f "${BUILD:-build}")/quire
python=/usr/bin/python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mem=40M
swap=256M

cat >"$work/dict.py" <<'PYTHON'
import resource, sys
state = 12345
def number():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return state >> 33
words = {"key-%d-%x" % (i, number()): (i, number() % 1000) for i in range(250000)}
keys = list(words)
total = 0
for i in range(400000):         # near each other for a while, as real queries are, some anywhere
    at = i // 2 if i % 200 else number()
    total += words[keys[(at + number() % 1000) % len(keys)]][1]
print("entries", len(words), "sum over 400,000 queries", total)
if len(sys.argv) > 1:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
PYTHON

echo "\$ python3 dict.py                                     # natively"
native=$($python "$work/dict.py" peak 2>"$work/peak")
echo "$native"
echo "(it wants $(cat "$work/peak") MiB)"
echo
echo "\$ quire run --mem $mem --swap $swap -- python3 dict.py"
status=0
"$quire" run --mem $mem --swap $swap -- $python "$work/dict.py" >"$work/out" 2>"$work/report" ||
    status=$?
cat "$work/out" "$work/report"
echo
if [ $status -ne 0 ] || [ "$(cat "$work/out")" != "$native" ]; then
    echo "demo: exit status $status, and the answer is NOT the native one" >&2
    exit 1
fi
echo "The answer is the native one, in $mem of RAM."
