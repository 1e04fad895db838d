"""Scripts: programs that run in the sandbox before and after a step."""

from typing import Annotated

from api.http.responses import One
from api.http.router import Router
from api.http.rows import Rows, rows
from api.routes.assets.family import WRITE, Family, add_deletion, add_shared
from models.assets.asset import Asset, AssetKind
from models.assets.json_views import SCRIPTS, TEXT_VERSIONS, WHOLE_SCRIPTS
from models.assets.schemas import ScriptCreate, ScriptRead, ScriptUpdate, TextPublish, TextVersion

router = Router("/scripts", "Scripts")
FAMILY = Family(AssetKind.script, SCRIPTS, WHOLE_SCRIPTS, TEXT_VERSIONS)
Scripts = Annotated[Rows[Asset, ScriptRead], rows(WHOLE_SCRIPTS)]

add_shared(router, FAMILY, "script", "scripts", "content")
add_deletion(router, FAMILY, "script")


@router.post("", WRITE, creates=True)
async def create_script(body: ScriptCreate, scripts: Scripts) -> One[ScriptRead]:
    """Create a script; with content, its version 1 is published and active."""
    return await FAMILY.create(scripts, body.model_dump(exclude={"content"}), content=body.content)


@router.put("/{id}", WRITE)
async def update_script(id: str, body: ScriptUpdate, scripts: Scripts) -> One[ScriptRead]:
    """Change a script's name or description, which makes no version."""
    return await FAMILY.change(scripts, id, body)


@router.put("/{id}/publish", WRITE)
async def publish_script(id: str, body: TextPublish, scripts: Scripts) -> One[TextVersion]:
    """Publish new source of a script, active at once."""
    return await FAMILY.publish(scripts, id, content=body.content)
