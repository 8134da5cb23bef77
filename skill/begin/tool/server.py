"""A tool server: MCP in lines of JSON, with one tool."""
import json
import sys

TOOLS = [{
    "name": "greet",
    "description": "Greets somebody.",
    "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}]


def answer(method, params):
    if method == "initialize":
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "{{name}}", "version": "1"}}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call" and params.get("name") == "greet":
        return {"content": [{"type": "text", "text": "Hello, %s." % params.get("arguments", {}).get("name", "whoever you are")}]}
    if method == "ping":
        return {}
    return None


for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue  # a notification
    reply = {"jsonrpc": "2.0", "id": request["id"]}
    result = answer(request.get("method"), request.get("params") or {})
    if result is None:
        reply["error"] = {"code": -32601, "message": "there is no such method or tool"}
    else:
        reply["result"] = result
    print(json.dumps(reply), flush=True)
