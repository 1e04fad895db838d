"""`python -m api.openapi [--check]`."""

import sys

from api.openapi.export import main

sys.exit(main(sys.argv[1:]))
