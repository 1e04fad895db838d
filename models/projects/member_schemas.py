"""Members on the wire."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Title, UtcTimestamp
from models.json_view import JsonView, example
from models.projects.api_key_schemas import KEY, MEMBER
from models.projects.project import Member, Role, normalize_email

INVITED = "user_0198f2c5a2b37c4d8e5f6a7b8c9d0e20"
_MEMBER: JsonDict = {
    "id": INVITED,
    "_id": INVITED,
    "email": "sam@example.com",
    "name": "Sam",
    "role": "member",
    "status": "pending",
    "invitedBy": MEMBER,
    "invitedAt": "2026-01-15T10:04:00.000Z",
    "acceptedAt": None,
    "createdAt": "2026-01-15T10:04:00.000Z",
}
_EXAMPLE_KEY: JsonDict = {"id": KEY, "_id": KEY, "name": "deploy", "memberId": MEMBER}


def _refuse_owner(role: Role) -> Role:
    if role is Role.owner:
        raise ValueError("nobody is invited as an owner: invite an admin, and make them an owner later")
    return role


Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^\s*[^@\s<>,;\"\x00-\x1f]+@[^@\s<>,;\"\x00-\x1f]+\s*$"),
    AfterValidator(normalize_email),
]
"""An e-mail address; spelled in lower case from here on."""
MemberId = Annotated[str, Field(validation_alias=AliasChoices("memberId", "id"))]


class MemberRead(Read):
    """A person of the project."""

    model_config = example(**_MEMBER)
    email: str
    """The address, in lower case; unique within the project."""
    name: str
    """How the person is called."""
    role: Role
    """What the member's keys may do: an owner all, an admin all but what is about owners, a member work."""
    status: Literal["accepted", "pending"]
    """`pending`: invited, and without a key until now."""
    invited_by: str | None
    """The id of the member who sent the invitation; null for those whom an operator added."""
    invited_at: UtcTimestamp | None
    """When the invitation was made."""
    accepted_at: UtcTimestamp | None
    """When the member joined, which is when the first key was made for it."""
    created_at: UtcTimestamp
    """When the member was added or invited."""


class MemberInvite(Body):
    """Whom to invite."""

    model_config = example(email="sam@example.com", name="Sam", role="member")
    email: Email
    """The address of the person, who is known by it."""
    name: Title | None = None
    """How the person is called; what stands before the `@` of the address unless given."""
    role: Annotated[Role, AfterValidator(_refuse_owner)] = Role.member
    """`member` or `admin`; nobody is invited as an owner."""


class MemberRef(Body):
    """Which member."""

    model_config = example(memberId=INVITED)
    member_id: MemberId
    """The member's id."""


class MemberRemove(MemberRef):
    """Which member leaves, and what becomes of the keys that it made for others."""

    model_config = example(memberId=INVITED, revokeMade=True)
    revoke_made: bool = True
    """Whether keys of others that were made with the member's keys, or with what those made, are revoked,
    too: who made a key has seen its secret. The key of this request may be one of them."""


class DerivedKey(Read):
    """A key of somebody else that was made with a key of the removed member; its secret is not shown."""

    model_config = example(**_EXAMPLE_KEY)
    name: str
    """What the key is for."""
    member_id: str
    """The member whose key it is."""


class MemberRemoved(MemberRead):
    """The member who was removed, and what became of the keys of others that were made with its keys."""

    model_config = example(**_MEMBER, revokedKeys=[_EXAMPLE_KEY], livingKeys=[])
    revoked_keys: list[DerivedKey]
    """Keys of others that could be used until now and were revoked with the member's, the oldest first."""
    living_keys: list[DerivedKey]
    """Keys of others that can still be used, as `revokeMade` was false, the oldest first. Revoking the key
    that made one (its `createdByKeyId`) ends it, although that key is revoked already."""


class MemberRoleUpdate(MemberRef):
    """Which member gets which role."""

    model_config = example(memberId=INVITED, role="admin")
    role: Role
    """The new role."""


MEMBERS = JsonView(
    MemberRead,
    Member,
    "Member",
    keys=("rank", "id"),
    shown={"status": "CASE WHEN member.accepted_at IS NULL THEN 'pending' ELSE 'accepted' END"},
    where={"present": "member.removed_at IS NULL"},
    ranks={
        "rank": "CASE WHEN member.accepted_at IS NULL THEN 3 WHEN member.role = 'owner' THEN 0"
        " WHEN member.role = 'admin' THEN 1 ELSE 2 END"
    },
)
"""Lists show owners, admins, members and then the invited, each in the order in which they came."""
