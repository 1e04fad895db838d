"""GitHub, as an outside system: its API, its App, and what is written there."""
