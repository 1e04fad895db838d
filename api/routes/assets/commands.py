"""Commands: instructions that a prompt invokes by their name."""

from typing import Annotated

from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.assets.family import WRITE, AssetFamily, add_deletion, add_shared
from models.assets.asset import Asset, AssetKind
from models.assets.schemas import (
    COMMAND_DETAILS,
    COMMANDS,
    TEXT_VERSIONS,
    CommandCreate,
    CommandRead,
    CommandUpdate,
    TextPublish,
    TextVersion,
)

router = Router("/commands", "Commands")
FAMILY = AssetFamily(AssetKind.command, COMMANDS, COMMAND_DETAILS, TEXT_VERSIONS)
Commands = Annotated[ProjectRows[Asset, CommandRead], project_rows(COMMAND_DETAILS)]

add_shared(router, FAMILY, "command", "commands", "content")
add_deletion(router, FAMILY, "command")


@router.post("", WRITE, creates=True)
async def create_command(body: CommandCreate, commands: Commands) -> Item[CommandRead]:
    """Create a command; with content, its version 1 is published and active."""
    return await FAMILY.create(commands, body.model_dump(exclude={"content"}), content=body.content)


@router.put("/{id}", WRITE)
async def update_command(id: str, body: CommandUpdate, commands: Commands) -> Item[CommandRead]:
    """Change a command's name or description, which makes no version."""
    return await FAMILY.change(commands, id, body)


@router.put("/{id}/publish", WRITE)
async def publish_command(id: str, body: TextPublish, commands: Commands) -> Item[TextVersion]:
    """Publish new instructions of a command, active at once."""
    return await FAMILY.publish(commands, id, content=body.content)
