"""The Temporal workflows: decisions only, no I/O, no clock, no settings.

Nothing is imported here: where histories are replayed in a sandbox, the module of a workflow is loaded anew
for every execution, and with it all that stands in this one.
"""
