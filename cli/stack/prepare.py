"""Between database and API: migrations, then the first project and a key for it."""

import asyncio

from kit.tenancy import DatabaseRole
from local.stack.parts import login_password
from local.stack.plan import Plan
from local.stack.supervisor import PreparedProject


async def prepare(plan: Plan, database_url: str) -> PreparedProject:
    """Bring the database up to date and seed it; both are harmless when done before."""
    # Imported here: they are slow to import, and the other parts are starting meanwhile.
    from cli.deployment.migrate import upgrade
    from cli.stack.seed import seed_demo

    passwords = {role: login_password(plan, role) for role in DatabaseRole}
    await asyncio.to_thread(upgrade, database_url, passwords if plan.is_embedded("postgres") else None)
    seeded = await seed_demo(plan, database_url, plan.key("api_key"))
    return PreparedProject(seeded.project_id, seeded.api_key)
