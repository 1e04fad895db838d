"""`python3 -m toolbox CALL_ID`."""

from .journal import main

main()
