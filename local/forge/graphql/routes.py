"""GraphQL, at both of GitHub's addresses: `/graphql` and Enterprise's `/api/graphql`."""

from fastapi import APIRouter

from local.forge.graphql.schema import Caller, answer
from local.forge.rest.body import Body
from local.forge.rest.dependencies import Held, Site, User
from local.forge.viewer import Json

router = APIRouter()


class Query(Body):
    query: str
    variables: dict[str, object] | None = None
    operationName: str | None = None  # noqa: N815


@router.post("/graphql")
@router.post("/api/graphql")
async def graphql(body: Query, site: Site, store: Held, _: User) -> Json:
    return await answer(Caller(store, site), body.query, body.variables, body.operationName)
