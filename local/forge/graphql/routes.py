"""GraphQL, at both of GitHub's addresses: `/graphql` and Enterprise's `/api/graphql`."""

from fastapi import APIRouter

from local.forge.graphql.schema import QueryContext, execute
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentLogin, CurrentStore, CurrentViewer
from local.forge.viewer import Json

router = APIRouter()


class Query(Body):
    query: str
    variables: dict[str, object] | None = None
    operationName: str | None = None  # noqa: N815


@router.post("/graphql")
@router.post("/api/graphql")
async def graphql(body: Query, site: CurrentViewer, store: CurrentStore, _: CurrentLogin) -> Json:
    return await execute(QueryContext(store, site), body.query, body.variables, body.operationName)
