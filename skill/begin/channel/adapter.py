"""An adapter to a chat network: the channel protocol, and no network yet."""
import json
import sys


def say(**message):
    print(json.dumps(message), flush=True)


say(type="hello", protocol=1, name="{{name}}")
for line in sys.stdin:
    message = json.loads(line)
    kind = message["type"]
    if kind == "send":  # write it; then: say(type="ack", id=message["id"], network=...)
        say(type="error", id=message["id"], code="unavailable", text="it cannot write yet")
    elif kind == "fetch":
        say(type="error", ref=message["ref"], code="unknown")
    elif kind == "check":
        say(type="health", state="down", text="it cannot write yet")
    elif kind == "shutdown":
        break
