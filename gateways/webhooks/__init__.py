"""Calls to addresses that users chose."""
