"""What the releases of the wasm-shim do differently.

Upstream: Kuadrant/wasm-shim, read at v0.11.1, v0.12.1, v0.12.3 and v0.14.1, and at 7412955 of its
main branch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from embedded.images.kuadrant.shim_usage import LastEventButOne, SseUsage

_U32 = 1 << 32


@dataclass(frozen=True)
class Generation:
    """`replaces_headers`: a policy's header takes the place of the client's, however it is written;
    otherwise names are compared with their case, and the request's are in lower case.
    `stream` finds the event of a stream that has the usage.
    `converts`: usage may be a fraction or a text; otherwise whole numbers alone count.
    `asks_first`: all limits are asked before the upstream; otherwise each after the report of the
    one before, and so, if two apply, the second when the answer is there.
    `breaks_off`: an answer is broken off if a limit that is asked then refuses.
    `any_case`: the host is compared whatever its case.
    """

    replaces_headers: bool
    stream: type[SseUsage]
    converts: bool = False
    asks_first: bool = False
    breaks_off: bool = False
    any_case: bool = False

    def hits(self, value: Any) -> int | None:
        """How many hits a value counts for, or None if it is no number of hits."""
        if self.converts and isinstance(value, str) and re.fullmatch(r"\+?[0-9]+", value):
            value = int(value)
        if self.converts and isinstance(value, float) and 0 <= value < _U32:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _U32:
            return None
        return value


GENERATIONS = {
    "0.11": Generation(replaces_headers=True, stream=SseUsage),
    "0.12": Generation(replaces_headers=False, stream=LastEventButOne, breaks_off=True),
    "0.14": Generation(
        replaces_headers=False, stream=LastEventButOne, converts=True, asks_first=True
    ),
    # 0.11 but for the host, as main has it since pull request 405: what that mend alone changes.
    "mended": Generation(replaces_headers=True, stream=SseUsage, any_case=True),
}
