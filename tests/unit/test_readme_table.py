"""README's first table says how many requirements each profile has."""

import re
from pathlib import Path

from fixtures.evidence.requirements import by_id, read_all

ROOT = Path(__file__).parent.parent.parent
_ROW = re.compile(r"^\| .* \| `(\w+)` \| (\d+): ([A-Z]+)-1 to [A-Z]+-(\d+) \|$", re.MULTILINE)


def test_each_profile_has_as_many_as_the_table_says() -> None:
    numbers: dict[str, list[int]] = {}
    for one in by_id(read_all(ROOT / "suites")):
        prefix, _, number = one.partition("-")
        numbers.setdefault(prefix, []).append(int(number))
    found = _ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    said = {prefix: (int(count), int(last)) for _, count, prefix, last in found}
    assert said == {prefix: (len(all_), max(all_)) for prefix, all_ in numbers.items()}
