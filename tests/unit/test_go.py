"""JSON, YAML and durations as Go reads them: what Go 1.26 and yaml.v3 3.0.1 made of each."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.images.maas import go_yaml
from embedded.shared import duration, go_json

MINUTE = 60 * duration.SECOND
REQUEST = go_json.Struct(
    "token.Request",
    {"expiration": go_json.nanoseconds, "name": go_json.string, "groups": go_json.strings},
)


@pytest.mark.parametrize(
    ("text", "nanoseconds", "shown"),
    [("10m", 10 * MINUTE, "10m0s"), ("1h30m", 90 * MINUTE, "1h30m0s"),
     ("-5m", -5 * MINUTE, "-5m0s"),
     ("0", 0, "0s"), ("+0", 0, "0s"), ("1.5h", 90 * MINUTE, "1h30m0s"), (".5s", 5 * 10**8, "500ms"),
     ("1.s", duration.SECOND, "1s"), ("1µs", 1000, "1µs"), ("90.25s", 90_250_000_000, "1m30.25s"),
     ("9007199254740993ns", 9007199254740993, "2501h59m59.254740993s"),
     ("-2562047h47m16.854775808s", -(1 << 63), "-2562047h47m16.854775808s")],
)  # fmt: skip
def test_durations(text: str, nanoseconds: int, shown: str) -> None:
    assert duration.parse(text) == nanoseconds
    assert duration.show(nanoseconds) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [("", 'time: invalid duration ""'), ("ten", 'time: invalid duration "ten"'),
     ("10", 'time: missing unit in duration "10"'),
     ("10x", 'time: unknown unit "x" in duration "10x"'),
     ("1h bad", 'time: unknown unit "h bad" in duration "1h bad"'),
     ("--5m", 'time: invalid duration "--5m"'), ("9999999h", 'time: invalid duration "9999999h"'),
     ("1é", 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'),
     ('1"', 'time: unknown unit "\\"" in duration "1\\""'),
     ("2562047h47m16.854775808s", 'time: invalid duration "2562047h47m16.854775808s"')],
)  # fmt: skip
def test_wrong_durations(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="time: ") as caught:
        duration.parse(text)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("raw", "fields"),
    [(b'{"Expiration":"1h","NAME":"x"}', {"expiration": 60 * MINUTE, "name": "x"}),
     (b'{"expiration":""}', {"expiration": 0}), (b'{"expiration":null}', {}), (b"null", {}),
     (b'{"expiration":"1h","expiration":null,"name":"x","name":null}', {"name": "x"}),
     (b'{"expiration":600.5} and more', {"expiration": 600_500_000_000}),
     (b'{"expiration":1e30}', {"expiration": -(1 << 63)}),
     (b'{"name":"\xff\\ud800"}', {"name": "��"}),
     (b'{"group\xc5\xbf":["a",null]}', {"groups": ["a", ""]}),
     (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, {})],
    ids=["case", "no text", "null", "nothing", "again", "more", "large", "letters", "folded",
         "deep"],
)  # fmt: skip
def test_bodies(raw: bytes, fields: dict[str, Any]) -> None:
    assert REQUEST.decode(raw) == fields


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "EOF"), (b"  ", "EOF"), (b'{"a"', "unexpected EOF"), (b'{"a":1.', "unexpected EOF"),
     (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
     (b'{"expiration":NaN}', "invalid character 'N' looking for beginning of value"),
     (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
     (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
     (b'{"a":01}', "invalid character '1' after object key:value pair"),
     (b'{"a":1e}', "invalid character '}' in exponent of numeric literal"),
     (b'{"a":-x}', "invalid character 'x' in numeric literal"),
     (b'{"a":"\t"}', "invalid character '\\t' in string literal"),
     (b'{"a":"\\x"}', "invalid character 'x' in string escape code"),
     (b'{"a":"\\u12g"}', "invalid character 'g' in \\u hexadecimal character escape"),
     (b'{"a":trux}', "invalid character 'x' in literal true (expecting 'e')"),
     (b"[" * 10_001, "invalid character '[' exceeded max depth"),
     (b"[]", "json: cannot unmarshal array into Go value of type token.Request"),
     (b'{"name":5}',
      "json: cannot unmarshal number into Go struct field Request.name of type string"),
     (b'{"groups":["x",{}]}',
      "json: cannot unmarshal object into Go struct field Request.groups of type string"),
     (b'{"name":5,"expiration":true}', "invalid duration"),
     (b'{"expiration":1e400}', "json: cannot unmarshal number 1e400 into Go struct field "
      "Request.expiration of type float64")],
    ids=range(21),
)  # fmt: skip
def test_wrong_bodies(raw: bytes, said: str) -> None:
    with pytest.raises(go_json.JSONError) as caught:
        REQUEST.decode(raw)
    assert str(caught.value) == said


@pytest.mark.parametrize("raw", [b"{} x", b'["a"]]', b""])
def test_a_whole_value_has_nothing_behind_it(raw: bytes) -> None:
    with pytest.raises(go_json.JSONError):
        go_json.whole(raw)


def test_encoded() -> None:
    assert (
        go_json.encode({"a": "<é>&\u2028\n"}) == b'{"a":"\\u003c\xc3\xa9\\u003e\\u0026\\u2028\\n"}'
    )


FIELDS = {"name": "string", "level": "int", "groups": "strings"}


@pytest.mark.parametrize(
    ("text", "rows"),
    [("", []), ("null", []), ("- null\n- name: 5\n  of: [x]", [{"name": "5"}]),
     ("- {name: yes, level: 1.5, groups: [1, null]}",
      [{"name": "yes", "level": 1, "groups": ["1"]}]),
     ("- {level: 010}\n- {level: 0x1F}\n- {level: null}", [{"level": 8}, {"level": 31}, {}]),
     ("- &a {name: x, level: 1}\n- {<<: *a, level: 2}",
      [{"name": "x", "level": 1}, {"name": "x", "level": 2}]),
     ("[]\n---\nwrong: [", [])],
)  # fmt: skip
def test_rows(text: str, rows: list[dict[str, Any]]) -> None:
    assert go_yaml.rows(text, "tier.Tier", FIELDS) == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [('- level: "1"', "unmarshal errors:\n  line 1: cannot unmarshal !!str `1` into int"),
     ("- level: yes", "unmarshal errors:\n  line 1: cannot unmarshal !!str `yes` into int"),
     ("a: b", "unmarshal errors:\n  line 1: cannot unmarshal !!map into []tier.Tier"),
     ("- name: x\n- groups: a-long-word", "unmarshal errors:\n  line 2: cannot unmarshal !!str "
      "`a-long-...` into []string"),
     ("- name: x\n  name: y",
      'unmarshal errors:\n  line 2: mapping key "name" already defined at line 1'),
     ("- name: x\n  groups: [", "line 2: did not find expected node content"),
     ("- name: x\n  level: : y", "line 2: mapping values are not allowed in this context")],
)  # fmt: skip
def test_wrong_rows(text: str, said: str) -> None:
    with pytest.raises(go_yaml.YAMLError) as caught:
        go_yaml.rows(text, "tier.Tier", FIELDS)
    assert str(caught.value) == f"yaml: {said}"
