"""Runs: begun and ended, their files and images, and failing CI that is fixed."""
