"""The catalog's paths."""

from typing import Any

from fastapi import APIRouter, Response

from chengshu.dsp.routes.door import PATH, Answer, Called, Door, Family, no_such_path
from chengshu.dsp.service import REQUEST_PATH, DspCatalog
from chengshu.dsp.translate.pages import read_query


def catalog_routes(routes: APIRouter, door: Door, catalog: DspCatalog) -> None:
    """Add the paths below ``/catalog``. A page's link leads to the same path; it is followed by repeating the message, or by GET."""

    def page(call: Called) -> Response:
        def act(sender: str, value: dict[str, Any]) -> Answer:
            token, limit = read_query(call.query)
            if call.request.method == "GET" and token is None:
                raise no_such_path()
            message = value if call.request.method == "POST" else None
            document, links = catalog.catalog(message, audience=sender, token=token, limit=limit)
            return Answer(document, {} if links is None else {"Link": links})

        return door.answer(Family.CATALOG, call, act)

    def dataset(call: Called, dataset_id: str) -> Response:
        return door.answer(Family.CATALOG, call, lambda sender, _: catalog.dataset(dataset_id, audience=sender))

    routes.post(PATH + REQUEST_PATH)(page)
    routes.get(PATH + REQUEST_PATH)(page)
    routes.get(PATH + "/catalog/datasets/{dataset_id:path}")(dataset)
