"""The part of GitHub's GraphQL schema that tells branches and their tips in one request, and drafts.

Types and fields have GitHub's own names and mean what they mean there. Other fields are refused as GraphQL
refuses them, so a client that needs more finds out at once.
"""

from dataclasses import dataclass

from graphql import GraphQLError, GraphQLField, GraphQLObjectType, GraphQLResolveInfo, build_schema, graphql

from local.forge.errors import NotFound
from local.forge.graphql import ref_connections
from local.forge.graphql.ref_connections import RefPage
from local.forge.store import pull_request_edits
from local.forge.store.repositories import Repository, Store
from local.forge.viewer import Json, Viewer, node_id

MAX_PAGE_SIZE = 100
SCHEMA = build_schema('''
    scalar DateTime
    scalar GitObjectID
    scalar GitTimestamp
    scalar URI

    interface Node { id: ID! }
    interface GitObject { id: ID! oid: GitObjectID! }

    type Query {
        viewer: User!
        repository(owner: String!, name: String!): Repository
    }
    type Mutation {
        convertPullRequestToDraft(input: ConvertPullRequestToDraftInput!): ConvertPullRequestToDraftPayload
        markPullRequestReadyForReview(
            input: MarkPullRequestReadyForReviewInput!
        ): MarkPullRequestReadyForReviewPayload
    }
    input ConvertPullRequestToDraftInput { pullRequestId: ID! clientMutationId: String }
    input MarkPullRequestReadyForReviewInput { pullRequestId: ID! clientMutationId: String }
    type ConvertPullRequestToDraftPayload { clientMutationId: String pullRequest: PullRequest }
    type MarkPullRequestReadyForReviewPayload { clientMutationId: String pullRequest: PullRequest }
    type PullRequest implements Node { id: ID! number: Int! isDraft: Boolean! }
    type User { login: String! }
    type Repository implements Node {
        id: ID!
        name: String!
        nameWithOwner: String!
        isPrivate: Boolean!
        url: URI!
        defaultBranchRef: Ref
        ref(qualifiedName: String!): Ref
        """query: part of the name; after: a pageInfo.endCursor."""
        refs(refPrefix: String!, query: String, first: Int, after: String): RefConnection
    }
    type RefConnection {
        totalCount: Int!
        pageInfo: PageInfo!
        edges: [RefEdge]
        nodes: [Ref]
    }
    type RefEdge { cursor: String! node: Ref }
    type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
    type Ref implements Node {
        id: ID!
        name: String!
        prefix: String!
        target: GitObject
        branchProtectionRule: BranchProtectionRule
    }
    type BranchProtectionRule implements Node { id: ID! pattern: String! }
    type Commit implements Node & GitObject {
        id: ID!
        oid: GitObjectID!
        authoredDate: DateTime!
        committedDate: DateTime!
        messageHeadline: String!
        message: String!
        author: GitActor
        committer: GitActor
    }
    type Tag implements Node & GitObject { id: ID! oid: GitObjectID! }
    type GitActor { name: String email: String date: GitTimestamp user: User }
''')


@dataclass(frozen=True)
class QueryContext:
    """What the resolvers are given: where the rows are, and who asks."""

    store: Store
    site: Viewer


class GraphQLRefusal(GraphQLError):
    """An error of GitHub's own: it has a `type` beside the message."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(message)
        self.type = type_


async def execute(
    caller: QueryContext, query: str, variables: dict[str, object] | None, operation: str | None
) -> Json:
    """`{data, errors?}`; `data` is left out when nothing was executed, as on GitHub."""
    result = await graphql(
        SCHEMA, query, variable_values=variables, operation_name=operation, context_value=caller
    )
    whole: Json = {} if result.data is None else {"data": result.data}
    if result.errors:
        whole["errors"] = [error_shape(error) for error in result.errors]
    return whole


def error_shape(error: GraphQLError) -> Json:
    """GraphQL's form of an error, and GitHub's `type` where it has one."""
    cause = error.original_error
    kind: Json = {"type": cause.type} if isinstance(cause, GraphQLRefusal) else {}
    return kind | {**error.formatted}


async def repository(_: None, info: GraphQLResolveInfo[QueryContext], owner: str, name: str) -> Json:
    """The repository; its `source` is for the fields below it and no field of the schema."""
    caller = info.context
    try:
        found = await caller.store.find(owner, name)
        if not caller.site.sees(found):
            raise NotFound
    except NotFound:
        message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
        raise GraphQLRefusal("NOT_FOUND", message) from None
    return {
        "id": node_id("Repository", found.id),
        "name": found.name,
        "nameWithOwner": found.full_name,
        "isPrivate": found.private,
        "url": caller.site.repo_html(found),
        "source": found,
    }


async def viewer(_: None, info: GraphQLResolveInfo[QueryContext]) -> Json:
    """Whose token it is."""
    caller = info.context
    return {"login": caller.site.login}


async def default_branch_ref(
    parent: dict[str, Repository], _: GraphQLResolveInfo[QueryContext]
) -> Json | None:
    """The default branch, None in an empty repository."""
    found = parent["source"]
    return await ref_connections.find_ref(found, f"refs/heads/{found.default_branch}")


async def ref(
    parent: dict[str, Repository],
    _: GraphQLResolveInfo[QueryContext],
    qualifiedName: str,  # noqa: N803
) -> Json | None:
    """One reference by its full name or, as on GitHub, by that of a branch."""
    name = qualifiedName if qualifiedName.startswith("refs/") else f"refs/heads/{qualifiedName}"
    return await ref_connections.find_ref(parent["source"], name)


async def refs(
    parent: dict[str, Repository],
    _: GraphQLResolveInfo[QueryContext],
    refPrefix: str,  # noqa: N803
    query: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> Json:
    """A page of references in the order of their names; `first` must be said and be at most 100."""
    if first is None:
        words = "You must provide a `first` or `last` value to properly paginate the `refs` connection."
        raise GraphQLRefusal("MISSING_PAGINATION_BOUNDARIES", words)
    if first > MAX_PAGE_SIZE:
        words = (
            f"Requesting {first} records on the `refs` connection exceeds the `first` limit of 100 records."
        )
        raise GraphQLRefusal("EXCESSIVE_PAGINATION", words)
    if first < 0:
        words = "`first` on the `refs` connection cannot be less than zero."
        raise GraphQLRefusal("INVALID_PAGINATION", words)
    if not refPrefix.startswith("refs/") or not refPrefix.endswith("/"):
        raise GraphQLRefusal(
            "INVALID_REF_PREFIX", "The `refPrefix` must begin with `refs/` and end with `/`."
        )
    place = None if after is None else ref_connections.after(after)
    if after is not None and place is None:
        raise GraphQLRefusal("INVALID_CURSOR_ARGUMENTS", f"`{after}` does not appear to be a valid cursor.")
    return await ref_connections.list_refs_page(
        parent["source"], RefPage(refPrefix, query or "", first, place or "")
    )


async def convert_to_draft(_: None, info: GraphQLResolveInfo[QueryContext], input: Json) -> Json:
    return await _set_draft(info.context, input, draft=True)


async def mark_ready(_: None, info: GraphQLResolveInfo[QueryContext], input: Json) -> Json:
    return await _set_draft(info.context, input, draft=False)


async def _set_draft(caller: QueryContext, input: Json, *, draft: bool) -> Json:
    """input: GitHub's; refused for a pull request that does not exist or is not open."""
    given = str(input["pullRequestId"])
    try:
        repo, pull = await pull_request_edits.get_by_node_id(caller.store, given)
    except NotFound:
        raise GraphQLRefusal(
            "NOT_FOUND", f"Could not resolve to a node with the global id of '{given}'."
        ) from None
    if pull.state != "open":
        raise GraphQLRefusal("UNPROCESSABLE", "Pull request is closed.")
    pull = await pull_request_edits.set_draft(repo, pull, draft, caller.site.login)
    shown = {"id": given, "number": pull.number, "isDraft": pull.draft}
    return {"clientMutationId": input.get("clientMutationId"), "pullRequest": shown}


def field(type_: str, name: str) -> GraphQLField:
    """A field of the schema, to be given its resolver."""
    kind = SCHEMA.type_map[type_]
    assert isinstance(kind, GraphQLObjectType)
    found: GraphQLField = kind.fields[name]
    return found


field("Query", "viewer").resolve = viewer
field("Query", "repository").resolve = repository
field("Mutation", "convertPullRequestToDraft").resolve = convert_to_draft
field("Mutation", "markPullRequestReadyForReview").resolve = mark_ready
field("Repository", "defaultBranchRef").resolve = default_branch_ref
field("Repository", "ref").resolve = ref
field("Repository", "refs").resolve = refs
