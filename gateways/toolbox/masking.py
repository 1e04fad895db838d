"""Keeps secrets out of results and files: the values of the environment's secret variables are masked."""

from __future__ import annotations

import os
import re

from kit.secret_forms import MASK, secret_forms

SECRETS_VARIABLE = "CODECOURIER_SECRETS"
"""The variable that lists, comma-separated, the names of the variables that are secret."""


class Masker:
    """Replaces the values of the secret variables of this process by a mask."""

    def __init__(self) -> None:
        self.names = {
            name.strip() for name in os.environ.get(SECRETS_VARIABLE, "").split(",") if name.strip()
        }
        found = secret_forms(os.environ[name] for name in self.names if name in os.environ)
        self._longest_first = sorted(found, key=lambda form: (-len(form), form))

    def text(self, text: str) -> str:
        """Only what is found becomes a pattern: making one of everything takes seconds for long secrets."""
        present = [re.escape(form) for form in self._longest_first if form in text]
        return re.sub("|".join(present), MASK, text) if present else text

    def found_in(self, text: str) -> bool:
        return any(form in text for form in self._longest_first)
