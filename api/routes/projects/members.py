"""The members of the key's project."""

from typing import Annotated

from fastapi import Query

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from models.projects.member_schemas import (
    MEMBERS,
    DerivedKey,
    MemberInvite,
    MemberRead,
    MemberRemove,
    MemberRemoved,
    MemberRoleUpdate,
)
from models.projects.members import ProjectMembers
from models.projects.project import Member, Role

router = Router("/project/members", "Members")
SCOPE = "projects:write"
Members = Annotated[ProjectRows[Member, MemberRead], project_rows(MEMBERS)]


@router.get("", requires("projects:read"))
async def list_members(members: Members, window: Annotated[PageQuery, Query()]) -> ItemPage[MemberRead]:
    """List the members: owners, admins, members, then those who are invited."""
    return members.page(window, descending=False, present=True)


@router.post("/invite", requires(SCOPE, Role.admin), creates=True)
async def invite_member(body: MemberInvite, members: Members) -> Item[MemberRead]:
    """Invite somebody to the project.

    The member is `pending` until an admin makes a key for it (`POST /project/api-keys/generate` with its
    `memberId`), or an operator does: that key is what the person works with. 409 for somebody who is a member
    or invited already.
    """
    key = members.unit.key
    team = await ProjectMembers.lock(members.unit.session, key.project_id)
    return members.item(team.invite(key.member_id, body.email, body.name, body.role).id)


@router.post("/remove", requires(SCOPE))
async def remove_member(body: MemberRemove, members: Members) -> MemberRemoved:
    """Remove a member, cancel an invitation, or leave the project.

    The member's keys are refused from now on, everywhere, and so are the keys of others that were made with
    them, unless `revokeMade` is false; the answer lists those that were revoked and those that live. The key
    of this request may be one of them: then this is its last answer. Everybody may leave; removing somebody
    else needs an admin, removing an owner an owner. The last owner cannot be removed: 403.
    """
    unit = members.unit
    team = await ProjectMembers.lock(unit.session, unit.key.project_id)
    member, made = await team.remove(unit.key.member_id, body.member_id, revoke_made=body.revoke_made)
    unit.after_commit.append(unit.api.keys.wait_for_propagation)
    keys = [DerivedKey.model_validate(key) for key in made]
    return MemberRemoved(
        **member.model_dump(),
        status="pending" if member.is_pending else "accepted",
        revoked_keys=keys if body.revoke_made else [],
        living_keys=[] if body.revoke_made else keys,
    )


@router.post("/update-role", requires(SCOPE, Role.owner))
async def update_member_role(body: MemberRoleUpdate, members: Members) -> Item[MemberRead]:
    """Change the role of a member; its keys have the new one from now on.

    The last owner keeps the role: 403. Who has not accepted the invitation cannot become an owner: 409.
    """
    unit = members.unit
    team = await ProjectMembers.lock(unit.session, unit.key.project_id)
    member = team.change_role(unit.key.member_id, body.member_id, body.role)
    unit.after_commit.append(unit.api.keys.wait_for_propagation)
    return members.item(member.id)
