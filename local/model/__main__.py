"""`python -m local.model --port P [--scenarios DIR]`: a scripted Messages API.  Env: ANTHROPIC_API_KEY."""

import argparse
import os
import sys
from pathlib import Path

import uvicorn

from local.model.app import ScriptedModel
from local.model.scenarios import BUILT_IN_SCENARIOS, ScenarioError, load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.model", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--scenarios",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="directory of scenario files, tried before the built-in ones; may be given several times",
    )
    options = parser.parse_args()
    api_key = os.environ.get("ANTHROPIC_API_KEY")
    if not api_key:
        sys.exit("ANTHROPIC_API_KEY is not set: choose the key that clients of this scripted model must send")
    try:
        scenarios = load([*options.scenarios, BUILT_IN_SCENARIOS])
    except ScenarioError as error:
        sys.exit(str(error))
    uvicorn.run(
        ScriptedModel(api_key, scenarios).app(),
        host=options.host,
        port=options.port,
        log_level="warning",
        timeout_keep_alive=120,  # longer than clients pause: none meets a connection just closed
    )


if __name__ == "__main__":
    main()
