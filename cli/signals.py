"""Ctrl-C and polite kills: the first one cancels the command's task, which then tidies up undisturbed."""

import asyncio
import signal


def cancel_on_signals() -> None:
    """Cancel the current task at the first SIGINT, SIGTERM or SIGHUP."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def cancel() -> None:
        for number in signals:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in signals:
        loop.add_signal_handler(number, cancel)
