"""Members: who may join, change and leave a project, and what of it the others hear."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, Forbidden, NotFound
from models.base import JsonObject, now
from models.event import Event, EventType, append_event
from models.notifications.notification import Notification, NotificationType, notify_members
from models.projects.api_key import ApiKey, key_tree_condition, revoke_keys
from models.projects.project import Member, Role, normalize_email


class Removal(NamedTuple):
    """A member who was removed, and the living keys of others that were made with the member's."""

    member: Member
    derived_keys: Sequence[ApiKey]


@dataclass(frozen=True, slots=True)
class ProjectMembers:
    """The members of one project, locked until the transaction ends: what is true of them stays true.

    So of two owners who remove each other at the same time one is too late, and an owner is always left.
    """

    session: AsyncSession
    project_id: str
    members: list[Member]

    @classmethod
    async def lock(cls, session: AsyncSession, project_id: str) -> "ProjectMembers":
        statement = (
            select(Member)
            .where(col(Member.project_id) == project_id, col(Member.removed_at).is_(None))
            .order_by(col(Member.id))
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        return cls(session, project_id, list((await session.exec(statement)).all()))

    def get_member(self, id: str) -> Member:
        """The member of this id; NotFound for one who left, or is another project's."""
        for member in self.members:
            if member.id == id:
                return member
        raise NotFound("Member not found.")

    def require_actor(self, id: str, role: Role) -> Member:
        """Who acts, and still has the role; Forbidden for one who lost it a moment ago."""
        for member in self.members:
            if member.id == id and member.role.includes(role):
                return member
        raise Forbidden(f"This needs the role '{role}', which the key's member does not have.")

    def require_managed_member(self, by: str, id: str) -> Member:
        """The member of this id, if who acts may make and revoke its keys: an admin, of owners an owner."""
        acting, member = self.require_actor(by, Role.admin), self.get_member(id)
        if not acting.role.includes(member.role):
            raise Forbidden(f"The keys of an {member.role} are made and revoked by an {member.role}.")
        return member

    def require_may_revoke(self, by: str, id: str) -> None:
        """Forbidden unless who acts may revoke the keys of this member, who may have left.

        Everybody's own, and those of others as `require_managed_member` says; of who left, an admin's.
        """
        if by == id:
            return
        if any(member.id == id for member in self.members):
            self.require_managed_member(by, id)
        else:
            self.require_actor(by, Role.admin)

    def find(self, email: str) -> Member | None:
        wanted = normalize_email(email)
        return next((member for member in self.members if member.email == wanted), None)

    def invite(self, by: str, email: str, name: str | None, role: Role) -> Member:
        """A pending member, who is accepted with the first key; Conflict for somebody who is there."""
        inviting = self.require_actor(by, Role.admin)
        member = self._add(email, name, role)
        member.invite(inviting.id)
        append_event(self.session, member, EventType.member_invited, {"by": by, "role": role})
        return member

    async def add(self, email: str, name: str | None, role: Role, external_id: str | None = None) -> Member:
        """An accepted member, whom an operator vouches for; Conflict for somebody who is there."""
        member = self._add(email, name, role)
        member.external_id = external_id
        await self._join(member)
        return member

    async def accept(self, member: Member) -> None:
        """An invited member has joined; one who was here already is left alone."""
        if member.is_pending:
            member.accept()
            await self._join(member)

    def change_role(self, by: str, id: str, role: Role) -> Member:
        """Only owners do; the last owner stays one, and an invitation makes no owner."""
        self.require_actor(by, Role.owner)
        member = self.get_member(id)
        if member.is_pending and role is Role.owner:
            raise Conflict("An invitation cannot make an owner: wait until the member has accepted it.")
        if member.role is role:
            return member
        if role is not Role.owner:
            self._require_other_owner(member)
        append_event(
            self.session,
            member,
            EventType.member_role_changed,
            {"by": by, "from": member.role, "role": role},
        )
        member.role = role
        return member

    async def remove(self, by: str, id: str, *, revoke_made: bool) -> Removal:
        """Remove a member or cancel an invitation; the keys die with it.

        Everybody may leave; admins remove whom they like except owners, whom owners remove.

        revoke_made: revoke what was made with those keys, too, whoever's it is.
        """
        member = self.get_member(id)
        if by != id:
            self.require_actor(by, Role.owner if member.role is Role.owner else Role.admin)
        self._require_other_owner(member)
        member.remove()
        append_event(self.session, member, EventType.member_removed, {"by": by})
        own = col(ApiKey.member_id) == member.id
        made = await _find_derived_keys(self.session, member)
        await revoke_keys(self.session, key_tree_condition(own) if revoke_made else own)
        return Removal(member, made)

    async def anonymize(self, member: Member) -> None:
        """Forget a person whose account was deleted; the keys die.

        The last owner is forgotten, too, but the seat stays: an operator gives the project another owner.
        """
        await self._anonymize_join_notifications(member)
        member.anonymize()
        await revoke_keys(self.session, col(ApiKey.member_id) == member.id)
        is_needed = member.role is Role.owner and not self._other_owners(member)
        if member.removed_at is None and not is_needed:
            member.remove()
            append_event(self.session, member, EventType.member_removed, {})

    def _add(self, email: str, name: str | None, role: Role) -> Member:
        address = normalize_email(email)
        if (there := self.find(address)) is not None:
            state = "is invited already" if there.is_pending else f"is a member already, as {there.role}"
            raise Conflict(f"{address} {state}.")
        name = name or address.partition("@")[0]
        member = Member(project_id=self.project_id, email=address, name=name, role=role)
        self.session.add(member)
        self.members.append(member)
        return member

    async def _join(self, member: Member) -> None:
        event = append_event(self.session, member, EventType.member_joined, {"role": member.role})
        title = f"{member.name} joined the project"
        data: JsonObject = {"memberId": member.id, "role": member.role}
        await notify_members(
            self.session, event, NotificationType.member_joined, title, f"As {member.role}.", data
        )

    def _require_other_owner(self, member: Member) -> None:
        if member.role is Role.owner and not self._other_owners(member):
            raise Forbidden("This is the last owner: make somebody else an owner first.")

    def _other_owners(self, member: Member) -> Sequence[Member]:
        """Those who can act: the seat of a person whose account was deleted is nobody's."""
        owners = [each for each in self.members if each.role is Role.owner and not each.is_anonymous]
        return [other for other in owners if other.id != member.id]

    async def _anonymize_join_notifications(self, member: Member) -> None:
        """The notifications that named the member name nobody any more."""
        joined = select(Event.id).where(
            col(Event.subject_id) == member.id, col(Event.type) == EventType.member_joined
        )
        statement = update(Notification).where(col(Notification.event_id).in_(joined))
        await self.session.execute(statement.values(title="A member joined the project"))


async def anonymize_everywhere(session: AsyncSession, external_id: str, email: str | None) -> int:
    """Forget a person in every project; how many memberships that were.

    A member is this person by the id at the sign-in service or, where no such id is known, by the address.
    """
    is_person = col(Member.external_id) == external_id
    if email is not None:
        is_person |= (col(Member.email) == normalize_email(email)) & col(Member.external_id).is_(None)
    statement = select(Member.id, Member.project_id).where(is_person)
    found = (await session.exec(statement.order_by(col(Member.project_id), col(Member.id)))).all()
    for member_id, project_id in found:
        team = await ProjectMembers.lock(session, project_id)
        there = [member for member in team.members if member.id == member_id]
        member = there[0] if there else await session.get_one(Member, member_id)
        await team.anonymize(member)
    return len(found)


async def _find_derived_keys(session: AsyncSession, member: Member) -> Sequence[ApiKey]:
    """The keys of others that were made with this member's and can be used, the oldest first."""
    ends = col(ApiKey.expires_at)
    statement = select(ApiKey).where(
        key_tree_condition(col(ApiKey.member_id) == member.id),
        col(ApiKey.member_id) != member.id,
        col(ApiKey.revoked_at).is_(None),
        ends.is_(None) | (ends > now()),
    )
    return (await session.exec(statement.order_by(col(ApiKey.id)))).all()
