"""Names of copies."""

MAX_NAME_CHARS = 200


def copy_name(name: str) -> str:
    """The name of a copy that was given none."""
    return f"Copy of {name}"[:MAX_NAME_CHARS].rstrip()
