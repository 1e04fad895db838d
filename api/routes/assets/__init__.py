"""Contexts, skills, commands and scripts: named texts and bundles with immutable versions."""

from api.routes.assets import commands, contexts, scripts, skills

routers = [contexts.router, skills.router, commands.router, scripts.router]
