"""Contexts: documents about the project that agents have in their system prompt."""

from typing import Annotated

from api.after_commit import DbSession
from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.assets.family import WRITE, AssetFamily, add_shared
from api.trash.moves import TrashDep
from models.assets.asset import Asset, AssetKind
from models.assets.schemas import (
    CONTEXT_DETAILS,
    CONTEXTS,
    TEXT_VERSIONS,
    ContextCreate,
    ContextRead,
    ContextSummary,
    ContextUpdate,
)
from models.trash.kinds import CONTEXT

router = Router("/contexts", "Contexts")
FAMILY = AssetFamily(AssetKind.context, CONTEXTS, CONTEXT_DETAILS, TEXT_VERSIONS)
Contexts = Annotated[ProjectRows[Asset, ContextRead], project_rows(CONTEXT_DETAILS)]

add_shared(router, FAMILY, "context", "contexts", "content")


@router.post("", WRITE, creates=True)
async def create_context(body: ContextCreate, contexts: Contexts) -> Item[ContextRead]:
    """Create a context.

    With content, its version 1 is published and active; without, agents get nothing of it until a `PUT`
    brings some.
    """
    return await FAMILY.create(contexts, body.model_dump(exclude={"content"}), content=body.content)


@router.put("/{id}", WRITE)
async def update_context(
    id: str, body: ContextUpdate, contexts: Contexts, session: DbSession
) -> Item[ContextRead]:
    """Change a context; content makes a new version, which is active at once.

    What is at work keeps the version it started with.
    """
    context = await contexts.get(id, lock=True)
    context.change(**body.model_dump(exclude_unset=True, exclude={"content"}))
    if "content" in body.model_fields_set:
        session.add(context.publish(contexts.unit.key.member_id, content=body.content))
    return contexts.item(context.id)


@router.delete("/{id}", WRITE)
async def delete_context(id: str, contexts: Contexts, session: DbSession, trash: TrashDep) -> ContextSummary:
    """Move a context to the trash, from where it can be restored with all its versions.

    What is at work keeps it. What names it and starts meanwhile is refused, with the step that names it.
    """
    context = await contexts.get(id, lock=True)
    await trash.trash(CONTEXT, context)
    return await FAMILY.summary(session, context)
