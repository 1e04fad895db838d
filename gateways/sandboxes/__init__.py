"""Sandboxes, as an outside system: E2B's control plane, one sandbox, and how far it reaches."""
