"""What the four kinds of assets share: listed, shown, created, published, activated and deleted alike.

Each kind's own file says which fields it takes and which of these operations it has.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.errors import NotFound
from kit.ids import new_id
from models.assets.asset import PREFIXES, Asset, AssetKind, AssetVersion, require_capacity
from models.assets.schemas import Activation, AssetSummary, AssetView, VersionRead
from models.json_view import JsonView

READ, WRITE = requires("assets:read"), requires("assets:write")
S = TypeVar("S", bound=AssetSummary)
R = TypeVar("R", bound=BaseModel)
V = TypeVar("V", bound=VersionRead)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class AssetFamily(Generic[S, R, V]):
    """One kind of asset, as lists show it, as a whole, and its versions."""

    kind: AssetKind
    summaries: AssetView[S]
    details: AssetView[R]
    versions: JsonView[AssetVersion, V]

    async def create(
        self,
        assets: ProjectRows[Asset, R],
        fields: dict[str, object],
        *,
        content: str | None = None,
        files: list[dict[str, str]] | None = None,
    ) -> Item[R]:
        """Answer with a new asset; with content or files, its version 1 is published."""
        session = assets.unit.session
        await require_capacity(session, assets.unit.key.project_id, self.kind)
        asset = assets.add(id=new_id(PREFIXES[self.kind]), kind=self.kind, **fields)
        await session.flush()
        if content is not None or files is not None:
            session.add(asset.publish(assets.unit.key.member_id, content=content, files=files))
        return assets.item(asset.id)

    async def change(self, assets: ProjectRows[Asset, R], id: str, body: BaseModel) -> Item[R]:
        """Answer with the asset after a change of its name or description."""
        asset = await assets.get(id, lock=True)
        asset.change(**body.model_dump(exclude_unset=True))
        return assets.item(asset.id)

    async def publish(
        self,
        assets: ProjectRows[Asset, R],
        id: str,
        *,
        content: str | None = None,
        files: list[dict[str, str]] | None = None,
    ) -> Item[V]:
        """Answer with a new version, which is active at once."""
        asset = await assets.get(id, lock=True)
        version = asset.publish(assets.unit.key.member_id, content=content, files=files)
        assets.unit.session.add(version)
        return Item(self.versions, {"asset_id": asset.id, "version": version.version})

    async def summary(self, session: AsyncSession, asset: Asset) -> S:
        """The asset as lists show it, also when it is about to go."""
        active = await version_of(session, asset, asset.active_version)
        fields = asset.model_dump() | {"active_version": active}
        return self.summaries.read.model_validate(fields)


def add_shared(router: Router, family: AssetFamily[S, R, V], noun: str, plural: str, left_out: str) -> None:
    """Register what all kinds have; the names are of the operations and of their descriptions."""
    summary: Any = family.summaries.read
    whole: Any = family.details.read
    version: Any = family.versions.read

    async def list_assets(
        assets: Annotated[ProjectRows[Asset, S], project_rows(family.summaries)],
        window: Annotated[PageQuery, Query()],
    ) -> ItemPage[summary]:
        return assets.page(window, kind=family.kind)

    async def get_asset(
        id: str, assets: Annotated[ProjectRows[Asset, R], project_rows(family.details)]
    ) -> Item[whole]:
        return assets.item(id)

    async def list_versions(
        id: str,
        assets: Annotated[ProjectRows[Asset, R], project_rows(family.details)],
        window: Annotated[PageQuery, Query()],
    ) -> ItemPage[version]:
        asset = await assets.get(id)
        return ItemPage(family.versions, {"asset_id": asset.id}, window)

    async def activate_version(
        id: str,
        v: Annotated[str, Path(description="The number of the version.")],
        assets: Annotated[ProjectRows[Asset, R], project_rows(family.details)],
        session: DbSession,
    ) -> Activation:
        asset = await assets.get(id, lock=True)
        number = int(v) if _NUMBER.fullmatch(v) else None
        if await version_of(session, asset, number) is None:
            raise NotFound(f"The {noun} has no such version.")
        asset.activate(int(v))
        return Activation.model_validate(asset)

    list_assets.__doc__ = f"List the project's {plural}, newest first, without their {left_out}."
    get_asset.__doc__ = f"Get one {noun} with its active version and the numbers of all its versions."
    list_versions.__doc__ = f"List the versions of a {noun}, newest first."
    activate_version.__doc__ = (
        f"Serve another version of a {noun} to agents.\n\n"
        "What starts from now on gets it; what is at work keeps the version it started with."
    )
    router.get("", READ, name=f"list_{plural}")(list_assets)
    router.get("/{id}", READ, name=f"get_{noun}")(get_asset)
    router.get("/{id}/versions", READ, name=f"list_{noun}_versions")(list_versions)
    router.put("/{id}/versions/{v}/activate", WRITE, name=f"activate_{noun}_version")(activate_version)


def add_deletion(router: Router, family: AssetFamily[S, R, V], noun: str) -> None:
    """Register the deletion for good, with all versions."""
    summary: Any = family.summaries.read

    async def delete_asset(
        id: str, assets: Annotated[ProjectRows[Asset, R], project_rows(family.details)], session: DbSession
    ) -> summary:
        asset = await assets.get(id, lock=True)
        gone = await family.summary(session, asset)
        await session.delete(asset)
        return gone

    delete_asset.__doc__ = (
        f"Delete a {noun} and all its versions for good.\n\n"
        "What was selected by something at work stays with it. What names it and starts later is refused, "
        "with the step that names it."
    )
    router.delete("/{id}", WRITE, name=f"delete_{noun}")(delete_asset)


async def version_of(session: AsyncSession, asset: Asset, number: int | None) -> AssetVersion | None:
    """The version of this number; None when there is none."""
    statement = select(AssetVersion).where(
        col(AssetVersion.asset_id) == asset.id, col(AssetVersion.version) == number
    )
    return (await session.exec(statement)).one_or_none()
