"""The durable stories: decisions only, no I/O, no clock, no settings.

Nothing is imported here: the engine's sandbox loads the module of a workflow anew for every execution, and
with it all that stands in this one.
"""
