"""Boot of envd, once a sandbox: what it takes is what a sandbox has to wait for."""

import gc

gc.disable()  # nothing that is imported is garbage, and to look for it takes an eighth of the whole start

from local.sandboxes.envd.server import main  # noqa: E402

main()
