"""A project's keys and the environment of its sandboxes' commands, as activities hold them."""

from collections.abc import Collection
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy import select
from sqlmodel import col

from gateways.errors import CredentialMissing
from gateways.git.repository import PushPolicy
from kit.crypto import Vault
from kit.database import Database
from kit.redaction import Redactor, RedactorCache
from kit.settings import Settings
from models import Project, ProviderKey
from models.budgets.quota import UNLIMITED, Quota, load_quota
from models.projects.egress import EgressPolicy
from models.projects.provider_key import Provider
from models.reconcile.installation import get_installation


@dataclass(frozen=True)
class Credentials:
    """A project's keys, and the environment of its sandboxes' commands, in clear: never stored or logged."""

    project_id: str
    keys: dict[Provider, str] = field(repr=False)
    """Its own and the server's, which it may always use; without the server's access to GitHub."""
    environment: dict[str, str] = field(repr=False)
    secret_names: tuple[str, ...]
    redactor: Redactor = field(repr=False)
    owner: str
    """The installation: whose its sandboxes are."""
    protected_paths: tuple[str, ...]
    """Patterns of paths that no push of the project's jobs may change."""
    egress: EgressPolicy
    """How far the project's sandboxes reach."""
    quota: Quota = UNLIMITED
    """What it may use of the server's keys; no limit on what it has a key of its own for."""

    @property
    def push_policy(self) -> PushPolicy:
        return PushPolicy(self.redactor, self.protected_paths)

    def key(self, provider: Provider, setting: str) -> str:
        """CredentialMissing where there is none; setting: that gives the server one."""
        if (key := self.keys.get(provider)) is None:
            raise CredentialMissing(provider, setting)
        return key

    def environment_for(self, secrets: Collection[str] | None) -> dict[str, str]:
        """What commands see: of the secret variables the named ones only; None: all.

        secrets: those of a step, or for what belongs to no step `Snapshot.job_secrets`.
        The toolbox keeps the values of those that it is given out of its files.
        """
        given = [name for name in self.secret_names if secrets is None or name in secrets]
        withheld = {*self.secret_names} - {*given}
        seen = {name: value for name, value in self.environment.items() if name not in withheld}
        return {**seen, "CODECOURIER_SECRETS": ",".join(given)}


async def load_credentials(
    database: Database, vault: Vault, settings: Settings, redactors: RedactorCache, project_id: str
) -> Credentials:
    """A project's credentials as they are now, its own before the server's."""
    keys_of_project = select(ProviderKey).where(col(ProviderKey.project_id) == project_id)
    async with database.read_only() as session:
        project = await session.get_one(Project, project_id)
        sealed = (await session.execute(keys_of_project)).scalars().all()
        owner = (await get_installation(session)).id
        defaults = Quota(settings.server_model_usd_per_project, settings.server_sandboxes_per_project)
        quota = await load_quota(session, project_id, defaults)
    own = {key.provider: vault.open(key.sealed) for key in sealed}
    servers: list[tuple[Provider, SecretStr | None]] = [
        (Provider.e2b, settings.e2b_api_key),
        (Provider.anthropic, settings.anthropic_api_key),
    ]
    shared = {provider: key.get_secret_value() for provider, key in servers if key}
    environment = {name: vault.open(str(var["value"])) for name, var in project.env_vars.items()}
    secret = tuple(name for name, var in project.env_vars.items() if var["isSecret"])
    values = [*own.values(), *(environment[name] for name in secret), *settings.secret_values()]
    protected = tuple(project.protected_paths)
    egress = EgressPolicy.model_validate(project.egress)
    if own.keys() & {Provider.anthropic, Provider.anthropic_token}:
        quota = quota._replace(model_usd=None)
    if Provider.e2b in own:
        quota = quota._replace(sandboxes=None)
    redactor = await redactors.get(values)
    keys = {**shared, **own}
    return Credentials(project_id, keys, environment, secret, redactor, owner, protected, egress, quota)
