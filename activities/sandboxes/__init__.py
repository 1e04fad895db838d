"""Sandboxes of jobs: begun, prolonged, rested and ended."""
