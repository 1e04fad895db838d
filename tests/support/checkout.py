"""Checkout: where this repository stands on the disk."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
