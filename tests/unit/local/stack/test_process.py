import sys
from pathlib import Path

import psutil

from local.stack.process import ProcessIdentity, spawn

LEADER_GONE = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


async def test_a_process_lives_until_its_last_thread_is_gone(tmp_path: Path) -> None:
    identity = spawn([sys.executable, "-c", LEADER_GONE], {}, tmp_path / "log")
    process = psutil.Process(identity.pid)
    while process.status() != psutil.STATUS_ZOMBIE:
        assert identity.is_alive
    assert await identity.ended(0.2) is False
    assert ProcessIdentity.of(identity.pid) == identity
    await identity.stop(patience=0.1)
    assert await identity.ended(0) is True
    assert ProcessIdentity.of(identity.pid) is None
