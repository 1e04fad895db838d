"""Outgoing webhooks: who is told that there is something to send."""
