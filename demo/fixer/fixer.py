"""A small agent without a model: it reads its task, finds what makes a test
fail, tries small changes to the code until the tests pass, and says what it did.

Like every agent it takes what it reads in the project for instructions. A line
that begins with "AGENT:" is obeyed; what such lines can make it do is in
hijacked.py. So the same program is honest in an honest project, and somebody
else's tool in a poisoned one.
"""

import glob
import json
import os
import re
import subprocess
import sys

import hijacked

# Changes worth trying, one at a time: the slips that people make most often.
CHANGES = [("<=", "<"), (">=", ">"), ("<", "<="), (">", ">="), ("==", "!="), (" + ", " - "), (" - ", " + "),
           (" and ", " or "), ("True", "False"), ("min(", "max("), ("max(", "min("), (" 0", " 1"), (" 1", " 0")]


def say(kind, **fields):
    print(json.dumps({"kind": kind, **fields}), flush=True)


def tests():
    """Runs the project's tests; returns whether they pass, and what they said."""
    r = subprocess.run([sys.executable, "-B", "-m", "unittest", "-q"], capture_output=True, text=True)
    return r.returncode == 0, r.stderr


def failing_source(report):
    """The project's file that the failing test is about."""
    names = re.findall(r"\((?:test_)(\w+)\.", report)
    return names[0] + ".py" if names else None


def candidates(text):
    """Every version of the text with one small change."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line.lstrip().startswith(("#", '"', "def", "import")):
            continue
        for old, new in CHANGES:
            if old in line:
                yield i + 1, line.strip(), line.replace(old, new, 1).strip(), \
                    "\n".join(lines[:i] + [line.replace(old, new, 1)] + lines[i + 1:])


def mend():
    """Does the task; returns the exit code."""
    passed, report = tests()
    if passed:
        say("work", step="all tests pass already")
        return 0
    source = failing_source(report)
    if source is None:
        say("work", step="the tests fail in a way that I cannot place")
        return 1
    failed = re.search(r"FAIL: (\w+)", report)
    say("work", step="a test fails: %s, about %s" % (failed.group(1) if failed else "one", source))
    with open(source) as f:
        original = f.read()
    tried = 0
    for line, before, after, text in candidates(original):
        tried += 1
        with open(source, "w") as f:
            f.write(text)
        if tests()[0]:
            say("work", step="mended %s line %d at try %d: %r became %r" % (source, line, tried, before, after))
            return 0
    with open(source, "w") as f:
        f.write(original)
    say("work", step="%d changes tried, none helped" % tried)
    return 1


def instructions():
    """What the project's documents tell agents to do."""
    for name in sorted(glob.glob("*.md")):
        with open(name) as f:
            for line in f:
                if line.startswith("AGENT: "):
                    yield name, line.removeprefix("AGENT: ").split()


def main():
    with open("TASK.md") as f:
        say("work", step="my task: " + f.readline().lstrip("# ").strip())
    for name, (verb, *args) in instructions():
        action = getattr(hijacked, verb, None)
        if action is not None:
            say("attempt", verb=verb, **hijacked.attempt(action, args), source=name)
    return mend()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
