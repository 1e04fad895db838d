"""Outgoing webhooks: taken from the feed, sent, recorded."""
