"""Listings that hang on what each model says of itself."""

from __future__ import annotations

from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]


@fault("silent-models-end-the-listing", "maas_api")
def _(_: Any) -> None:
    """Whoever does not answer in time has the listing ended."""
    from embedded.images.maas.models import Models

    right = Models._answer

    async def answer(self: Any, url: str, token: str) -> Any:
        try:
            return await right(self, url, token)
        except TimeoutError as error:
            raise RuntimeError("no answer in time") from error

    Models._answer = answer  # type: ignore[method-assign]


@fault("failing-models-are-listed", "maas_api")
def _(_: Any) -> None:
    """By the name that their object has."""
    from embedded.images.maas import models

    right = models.Models._asked

    async def asked(self: Any, url: str, token: str, model: Object) -> list[Object]:
        code, _ = await self._answer(url, token)
        if code == 500:
            return [{"id": models._name(model), "object": "model"}]
        return await right(self, url, token, model)

    models.Models._asked = asked  # type: ignore[method-assign]
