"""`codecourier api`: the REST API."""

from typing import Annotated

import typer
import uvicorn

from api.http.protocol import BoundedProtocol
from kit.imports import gc_paused_imports

command = typer.Typer()


@command.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes to serve with.")] = 1,
    forwarded_allow_ips: Annotated[
        str, typer.Option(envvar="FORWARDED_ALLOW_IPS", help="Proxies whose X-Forwarded-For is believed.")
    ] = "",
) -> None:
    """Serve the REST API.  Settings come from the environment: DATABASE_URL, ENCRYPTION_KEYS, ….

    It is ready when GET /readyz answers 200.
    """
    if workers == 1:  # more of them import it themselves
        with gc_paused_imports():
            import api.app  # noqa: F401
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        proxy_headers=bool(forwarded_allow_ips),
        forwarded_allow_ips=forwarded_allow_ips,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,  # longer than the 60 s of usual proxies: none meets a connection just closed
        timeout_graceful_shutdown=10,
    )
