"""`codecourier codec-server`: decrypts payloads for Temporal's Web UI."""

from typing import Annotated

import typer
import uvicorn

command = typer.Typer()


@command.command()
def codec_server(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", help="Port to listen on.")] = 8234,
) -> None:
    """Decrypt payloads for Temporal's Web UI and command line, where TEMPORAL_PAYLOAD_KEYS is set.

    Settings come from the environment: TEMPORAL_PAYLOAD_KEYS, TEMPORAL_CODEC_TOKEN, TEMPORAL_CODEC_ORIGINS.
    Whoever asks shows the token.  It is ready when GET /readyz answers 200.
    """
    uvicorn.run(
        "api.codec_server:create_codec_server",
        factory=True,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
    )
