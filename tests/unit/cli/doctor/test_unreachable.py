"""`codecourier doctor` where there is nothing to look at: it says why, and what to do."""

import os
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from kit.settings import Settings

NAMES = {name.upper() for name in Settings.model_fields}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in NAMES}


def doctor(data: Path, **environment: str) -> str:
    """What it printed; it must leave with status 1."""
    command = [sys.executable, "-m", "cli.main", "doctor", "--data", str(data)]
    ran = subprocess.run(
        command, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


def test_without_an_installation_it_says_what_is_missing(tmp_path: Path) -> None:
    said = doctor(tmp_path)
    assert f"No stack runs in {tmp_path}" in said
    assert "DATABASE_URL (Field required)" in said


def test_what_cannot_be_reached_is_named_with_what_to_do(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    said = doctor(
        tmp_path,
        DATABASE_URL="postgresql://me:pass-word@127.0.0.1:9/mine",
        ENCRYPTION_KEYS=key,
        TEMPORAL_ADDRESS="127.0.0.1:9",
    )
    states = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert "127.0.0.1:9/mine cannot be reached: start it, or correct DATABASE_URL" in states["database"]
    assert "127.0.0.1:9 cannot be reached: start it, or correct TEMPORAL_ADDRESS" in states["temporal"]
    assert "not set" in states["github"]
    assert "Nothing else was looked at" in said
    assert "pass-word" not in said
    assert key not in said
