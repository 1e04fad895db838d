"""Scripts: programs that run in the sandbox before and after a step."""

from typing import Annotated

from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.assets.family import WRITE, AssetFamily, add_deletion, add_shared
from models.assets.asset import Asset, AssetKind
from models.assets.schemas import (
    SCRIPT_DETAILS,
    SCRIPTS,
    TEXT_VERSIONS,
    ScriptCreate,
    ScriptRead,
    ScriptUpdate,
    TextPublish,
    TextVersion,
)

router = Router("/scripts", "Scripts")
FAMILY = AssetFamily(AssetKind.script, SCRIPTS, SCRIPT_DETAILS, TEXT_VERSIONS)
Scripts = Annotated[ProjectRows[Asset, ScriptRead], project_rows(SCRIPT_DETAILS)]

add_shared(router, FAMILY, "script", "scripts", "content")
add_deletion(router, FAMILY, "script")


@router.post("", WRITE, creates=True)
async def create_script(body: ScriptCreate, scripts: Scripts) -> Item[ScriptRead]:
    """Create a script; with content, its version 1 is published and active."""
    return await FAMILY.create(scripts, body.model_dump(exclude={"content"}), content=body.content)


@router.put("/{id}", WRITE)
async def update_script(id: str, body: ScriptUpdate, scripts: Scripts) -> Item[ScriptRead]:
    """Change a script's name or description, which makes no version."""
    return await FAMILY.change(scripts, id, body)


@router.put("/{id}/publish", WRITE)
async def publish_script(id: str, body: TextPublish, scripts: Scripts) -> Item[TextVersion]:
    """Publish new source of a script, active at once."""
    return await FAMILY.publish(scripts, id, content=body.content)
