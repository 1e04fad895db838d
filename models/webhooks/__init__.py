"""Outgoing webhooks, and the feed of a project's events that they are sent from."""
