import csv
import sys

totals = {}
with open(sys.argv[1]) as f:
    for row in csv.DictReader(f):
        totals[row["region"]] = totals.get(row["region"], 0) + int(row["amount"])
for region, amount in sorted(totals.items()):
    print(region, amount)
