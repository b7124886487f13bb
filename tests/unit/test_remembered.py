"""Who is remembered, by whom and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from embedded.apiserver import authn
from embedded.apiserver.authn import Tokens
from embedded.images.kuadrant import authorino_limiter, authorino_pipeline
from embedded.images.kuadrant.authorino_pipeline import CACHED_BYTES, Pipeline


def test_api_server_remembers_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom it let in, under the audiences that were asked for, and nobody whom it refused."""
    now, asked = [100.0], []
    monkeypatch.setattr(authn.time, "monotonic", lambda: now[0])

    class Counted(Tokens):
        def _verified(self, bearer: str, audiences: list[str]) -> Any:
            asked.append(bearer)
            return (object() if bearer == "good" else None), audiences, ""

    tokens: Any = Counted.__new__(Counted)
    tokens._static, tokens._remembered = {}, {}
    for bearer in ("good", "good", "bad", "bad"):
        tokens.authenticate(bearer, ["a"])
    assert asked == ["good", "bad", "bad"]
    tokens.authenticate("good", ["b"])
    assert asked[3:] == ["good"]
    now[0] += authn.REMEMBERED_SECONDS
    tokens.authenticate("good", ["a"])
    assert asked[4:] == ["good"]


@pytest.mark.parametrize(("size", "times"), [(CACHED_BYTES - 2, 1), (CACHED_BYTES - 1, 2)])
def test_authorino_takes_no_large_entry(size: int, times: int) -> None:
    """`{}` is what is remembered, two bytes of it, beside a key of `size`."""
    pipeline: Any = Pipeline.__new__(Pipeline)
    pipeline._caches = {}
    rule = {"cache": {"key": {"value": "k" * size}, "ttl": 600}}
    asked = []

    async def evaluate(*_: Any) -> dict[str, Any]:
        asked.append(1)
        return {}

    async def twice() -> None:
        for _ in range(2):
            await pipeline._cached("identity", "x", rule, {}, evaluate)

    asyncio.run(twice())
    assert len(asked) == times
    assert authorino_pipeline.CACHED_BYTES == 1000


def test_authorino_asks_five_times_a_second() -> None:
    """Ten at once, then one each fifth of a second; who has less time than that is refused."""
    now = [100.0]
    limiter = authorino_limiter.Limiter(authorino_limiter.REVIEWS_PER_SECOND, lambda: now[0])
    slept: list[float] = []

    async def ask(left: float) -> str:
        authorino_limiter.deadline.set(now[0] + left)
        try:
            await limiter.wait()
        except authorino_limiter.Hurried as error:
            return str(error)
        return ""

    async def asked() -> list[str]:
        out = [await ask(0.0) for _ in range(10)]
        out.append(await ask(0.19))
        now[0] += 0.2
        out.append(await ask(0.0))
        out.append(await ask(0.2))
        return out

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorino_limiter.asyncio, "sleep", sleep)
        found = asyncio.run(asked())
    assert [bool(text) for text in found] == [False] * 10 + [True, False, False]
    assert found[10].endswith("rate: Wait(n=1) would exceed context deadline")
    assert slept[:10] == [0.0] * 10
    assert slept[-1] == 0.2
