"""What is altered: Lua for Envoy's filter (`envoy.extensions.filters.http.lua.v3`), of requests
behind the policies' filter, of answers before it; `h` is the filter's handle."""

from __future__ import annotations

from typing import NamedTuple

_HELPERS = """
local function change(h, name, by)
  local found = h:headers():get(name)
  if found then
    local other = by(found)
    if other ~= found then h:headers():replace(name, other) end
  end
end
local function turn(h, name, from, to)
  change(h, name, function(found) return found == from and to or found end)
end
local function body(h, by)
  local found = h:body()
  if found and found:length() > 0 then
    found:setBytes((by(found:getBytes(0, found:length()))))
  end
end
local function refused(h)
  return tonumber(h:headers():get(":status")) >= 400
end
"""
_REQUESTS = {
    "query-dropped": """change(h, ":path", function(p) return (p:gsub("%?.*", "")) end)""",
    "query-added": """change(h, ":path", function(p)
        return p:find("?", 1, true) and p or p .. "?api-version=1" end)""",
    "query-in-small-letters": """change(h, ":path", function(p)
        return (p:gsub("%?.*", string.lower)) end)""",
    "path-in-small-letters": """change(h, ":path", string.lower)""",
    "path-unescaped": """change(h, ":path", function(p) return (p:gsub("%%2[Ff]", "/")) end)""",
    "last-slash-cut": """change(h, ":path", function(p) return (p:gsub("(.)/$", "%1")) end)""",
    "token-into-the-query": """local token = h:headers():get("authorization")
        change(h, ":path", function(p) return token and p .. "?key=" .. token:sub(8) or p end)""",
    "put-is-post": """turn(h, ":method", "PUT", "POST")""",
    "delete-is-post": """turn(h, ":method", "DELETE", "POST")""",
    "host-with-port": """change(h, ":authority", function(a) return a .. ":443" end)""",
    "host-in-capitals": """change(h, ":authority", string.upper)""",
    "accept-dropped": """h:headers():remove("accept")""",
    "accept-encoding-added": """h:headers():add("accept-encoding", "gzip")""",
    "user-agent-dropped": """h:headers():remove("user-agent")""",
    "cookie-dropped": """h:headers():remove("cookie")""",
    "trace-dropped": """h:headers():remove("traceparent")""",
    "beta-headers-dropped": """h:headers():remove("openai-beta")
        h:headers():remove("anthropic-beta")""",
    "organization-in-small-letters": """change(h, "openai-organization", string.lower)""",
    "content-type-with-charset": """turn(h, "content-type", "application/json",
        "application/json; charset=utf-8")""",
    "came-over-http": """h:headers():replace("x-forwarded-proto", "http")""",
    "came-from-nowhere": """h:headers():remove("x-forwarded-for")""",
    "user-named-twice": """h:headers():add("x-maas-username", "admin")""",
    "token-copied": """local token = h:headers():get("authorization")
        if token then h:headers():add("x-forwarded-authorization", token) end""",
    "token-under-a-known-name": """local token = h:headers():get("authorization")
        if token then h:headers():replace("x-forwarded-host", token) end""",
    "request-id-of-all": """h:headers():replace("x-request-id", "0")""",
    "one-in-a-hundred-refused": """asked = (asked or 0) + 1
        if asked % 100 == 0 then h:respond({[":status"] = "503"}, "overflow") end""",
    "body-held-back": """h:body()""",
    "body-with-a-space": """body(h, function(b) return b .. " " end)""",
    "body-cut": """body(h, function(b) return b:sub(1, 100000) end)""",
    "body-in-ascii": """body(h, function(b) return b:gsub("[\\128-\\255]", "?") end)""",
    "temperature-lost": """body(h, function(b) return b:gsub('"temperature"', '"other"') end)""",
    "tools-lost": """body(h, function(b) return b:gsub('"tools"', '"other"') end)""",
    "numbers-as-floats": """body(h, function(b)
        return b:gsub('("max_tokens": ?%d+)', "%1.0") end)""",
    "streams-asked-for-usage": """body(h, function(b) return b:gsub('"stream": ?true',
        '"stream":true,"stream_options":{"include_usage":true}') end)""",
}
_ANSWERS = {
    "201-for-200": """turn(h, ":status", "200", "201")""",
    "403-for-401": """turn(h, ":status", "401", "403")""",
    "401-for-403": """turn(h, ":status", "403", "401")""",
    "400-for-404": """turn(h, ":status", "404", "400")""",
    "502-for-503": """turn(h, ":status", "503", "502")""",
    "400-for-413": """turn(h, ":status", "413", "400")""",
    "content-type-lost": """h:headers():remove("content-type")""",
    "streams-called-json": """turn(h, "content-type", "text/event-stream", "application/json")""",
    "content-type-with-other-charset": """turn(h, "content-type", "application/json",
        "application/json; charset=iso-8859-1")""",
    "retry-after-lost": """h:headers():remove("retry-after")""",
    "challenge-lost": """h:headers():remove("www-authenticate")""",
    "processing-time-lost": """h:headers():remove("openai-processing-ms")""",
    "cookie-added": """h:headers():add("set-cookie", "session=1")""",
    "upstream-told": """h:headers():add("x-upstream-host", "10.0.0.1:8443")""",
    "answers-cacheable": """h:headers():add("cache-control", "public, max-age=600")""",
    "vary-replaced": """h:headers():replace("vary", "accept-encoding")""",
    "server-told": """h:headers():replace("server", "node-7")""",
    "connection-closed": """h:headers():add("connection", "close")""",
    "length-untold": """h:headers():remove("content-length")""",
    "answer-with-a-line": """body(h, function(b) return b .. "\\n" end)""",
    "answer-in-ascii": """body(h, function(b) return b:gsub("[\\128-\\255]", "?") end)""",
    "answer-cut": """body(h, function(b) return b:sub(1, 70000) end)""",
    "usage-lost": """body(h, function(b) return b:gsub('"usage"', '"other"') end)""",
    "reason-other": """body(h, function(b) return b:gsub('"stop"', '"length"') end)""",
    "end-of-streams-lost": """body(h, function(b) return b:gsub("data: %[DONE%]\\n\\n", "") end)""",
    "events-in-other-lines": """if h:headers():get("content-type") == "text/event-stream" then
        body(h, function(b) return b:gsub("\\n", "\\r\\n") end) end""",
    "errors-emptied": """if refused(h) then h:body(true):setBytes("") end""",
    "errors-tell-more": """if refused(h) then
        body(h, function(b) return b .. " at 127.0.0.1" end) end""",
}
# Name → why nobody has to notice.
HARMLESS = {
    "request-id-of-all": "no document says what X-Request-Id is",
    "body-held-back": "a request may be held back until it is whole",
    "server-told": "Envoy writes Server itself, after the filters",
    "connection-closed": "Envoy keeps or closes its connections itself, after the filters",
    "length-untold": "RFC 9112 lets a proxy send in chunks what came with a length",
}
# Place → the same, for what nobody has to notice there alone.
HARMLESS_AT = {
    "egress": dict.fromkeys(
        ("host-with-port", "host-in-capitals"), "the routes there write Host anew, after the filter"
    )
}


def _whole(on: str, lua: str) -> str:
    return f"{_HELPERS}\nfunction envoy_on_{on}(h)\n{lua}\nend\n"


class Filter(NamedTuple):
    """`lua`, and whether it alters answers."""

    answers: bool
    lua: str


FILTERS = {
    **{name: Filter(False, _whole("request", lua)) for name, lua in _REQUESTS.items()},
    **{name: Filter(True, _whole("response", lua)) for name, lua in _ANSWERS.items()},
}


def filter_of(name: str) -> dict[str, object]:
    """The HTTP filter, as JSON of Envoy's configuration."""
    kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    source = {"default_source_code": {"inline_string": FILTERS[name].lua}}
    return {"name": "envoy.filters.http.lua", "typed_config": {"@type": kind, **source}}
