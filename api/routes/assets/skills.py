"""Skills: bundles of files that agents find in their sandbox."""

from typing import Annotated

from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.assets.family import WRITE, AssetFamily, add_deletion, add_shared
from models.assets.asset import Asset, AssetKind
from models.assets.schemas import (
    SKILL_DETAILS,
    SKILL_VERSIONS,
    SKILLS,
    SkillCreate,
    SkillPublish,
    SkillRead,
    SkillUpdate,
    SkillVersion,
)

router = Router("/skills", "Skills")
FAMILY = AssetFamily(AssetKind.skill, SKILLS, SKILL_DETAILS, SKILL_VERSIONS)
Skills = Annotated[ProjectRows[Asset, SkillRead], project_rows(SKILL_DETAILS)]

add_shared(router, FAMILY, "skill", "skills", "files")
add_deletion(router, FAMILY, "skill")


@router.post("", WRITE, creates=True)
async def create_skill(body: SkillCreate, skills: Skills) -> Item[SkillRead]:
    """Create a skill; with files, its version 1 is published and active."""
    files = body.model_dump()["files"]
    return await FAMILY.create(skills, body.model_dump(exclude={"files"}), files=files)


@router.put("/{id}", WRITE)
async def update_skill(id: str, body: SkillUpdate, skills: Skills) -> Item[SkillRead]:
    """Change a skill's name or description, which makes no version."""
    return await FAMILY.change(skills, id, body)


@router.put("/{id}/publish", WRITE)
async def publish_skill(id: str, body: SkillPublish, skills: Skills) -> Item[SkillVersion]:
    """Publish a new version of a skill, which is active at once; its files replace all those before."""
    return await FAMILY.publish(skills, id, files=body.model_dump()["files"])
