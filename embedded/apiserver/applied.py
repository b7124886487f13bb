"""What was applied last, and by whom: controllers that reconcile apply the same again and again,
and to merge what is applied was a quarter of what the API server did in a run of the suite."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from embedded.apiserver.decoding import Options
from embedded.shared.trees import copied

Object = dict[str, Any]
# (group, plural), and (namespace or "", name).
Place = tuple[tuple[str, str], tuple[str, str]]
# Manager, field validation, force; version and subresource.
_Applier = tuple[str, str, bool, str, str]


class Applied:
    """By object and applier: the body, and the object's revision once it was in."""

    def __init__(self) -> None:
        self._seen: dict[Place, dict[_Applier, tuple[str, Object]]] = defaultdict(dict)

    def is_in(
        self, place: Place, live: Object, body: Object, options: Options, version: str, part: str
    ) -> bool:
        """Whether nobody wrote to `live` since the same applied the same; `part` is the
        subresource."""
        before = self._seen[place].get(_applier(options, version, part))
        return before is not None and before == (live["metadata"]["resourceVersion"], body)

    def remember(
        self, place: Place, stored: Object, body: Object, options: Options, version: str, part: str
    ) -> None:
        """`body` is in `stored`; what only might be, or is warned of, is done anew each time."""
        if not options.dry_run and not options.warnings:
            seen = (stored["metadata"]["resourceVersion"], copied(body))
            self._seen[place][_applier(options, version, part)] = seen

    def forget(self, place: Place) -> None:
        """The object is gone."""
        self._seen.pop(place, None)


def _applier(options: Options, version: str, part: str) -> _Applier:
    return (options.field_manager, options.field_validation, options.force, version, part)
