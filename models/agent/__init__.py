"""Statements beside an agent session's tables: what every turn and every tool call reads and writes."""
