"""Contexts, skills, commands and scripts: their rules and their wire schemas."""
