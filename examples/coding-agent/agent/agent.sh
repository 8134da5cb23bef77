#!/bin/sh
# A stand-in for a coding agent: it mends what the tests complain about and
# commits its work, as an agent of your choice would.
set -eu
python3 -B -m unittest -q 2>/dev/null && { echo 'nothing to do'; exit 0; }
sed -i 's/return a - b/return a + b/' sums.py
python3 -B -m unittest -q
git add sums.py
git commit -q -m 'sums: add instead of subtract'
git log --oneline | head -n 3
