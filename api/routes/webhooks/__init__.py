"""Outgoing webhooks and the feed of events that they are sent from."""
