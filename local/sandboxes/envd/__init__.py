"""envd: the process inside each sandbox that runs commands and serves files, in E2B's own protocol.

It runs as the sandbox's unprivileged user on a unix socket it inherits, and imports only what `runtime.py`
copies.
"""
