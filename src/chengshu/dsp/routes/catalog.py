"""The catalog's paths."""

from typing import Any

from fastapi import APIRouter, Response

from chengshu.dsp.messages.catalog import CatalogRequestMessage
from chengshu.dsp.messages.shapes import parse
from chengshu.dsp.routes.door import PATH, Called, Door, Family
from chengshu.dsp.service import DspCatalog
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text


def catalog_routes(routes: APIRouter, door: Door, catalog: DspCatalog) -> None:
    """Add the paths below ``/catalog``."""

    def whole(call: Called) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            if parse(CatalogRequestMessage, value).filter:
                raise _no_filter()
            return catalog.catalog(sender)

        return door.answer(Family.CATALOG, call, act)

    def dataset(call: Called, dataset_id: str) -> Response:
        return door.answer(Family.CATALOG, call, lambda sender, _: catalog.dataset(dataset_id, audience=sender))

    routes.post(PATH + "/catalog/request")(whole)
    routes.get(PATH + "/catalog/datasets/{dataset_id:path}")(dataset)


def _no_filter() -> Invalid:
    return Invalid(
        "catalog.filter",
        "expected no filter, got one: this catalog has none",
        hint=Text("Read the whole catalog.", "请读取完整目录。"),
    )
