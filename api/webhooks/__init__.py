"""Webhooks, and the feed of events that they read."""
