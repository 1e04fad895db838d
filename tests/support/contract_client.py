"""A client that holds every answer against the API's description."""

from typing import Any

import httpx
import jsonschema

from tests.support.operations import OPENAPI, OPERATIONS

BY_ID = {operation.id: operation for operation in OPERATIONS}


class ContractClient:
    """Sends requests by operation id, and holds every answer against the description."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.tried: set[str] = set()

    async def __call__(
        self, operation_id: str, body: Any = None, /, *, path: str = "", v: str = "", **query: Any
    ) -> Any:
        """`path` stands for the id or the name in the path, `v` for the number of a version."""
        operation = BY_ID[operation_id]
        url = "http://test" + operation.path.replace("{type}/{id}", path).replace("{id}", path).replace(
            "{name}", path
        ).replace("{v}", v)
        answer = await self.client.request(operation.method, url, json=body, params=query)
        assert answer.status_code == operation.success[0], answer.text
        assert answer.headers["content-type"] == "application/json"
        assert operation.schema is not None
        jsonschema.validate(
            answer.json(), closed_schema(operation.schema), cls=jsonschema.Draft202012Validator
        )
        self.tried.add(operation_id)
        return answer.json().get("data")


def closed_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, in which an object has no property that is not documented."""
    components = {
        name: {"additionalProperties": False, **component} if "properties" in component else component
        for name, component in OPENAPI["components"]["schemas"].items()
    }
    return {**schema, "components": {"schemas": components}}
