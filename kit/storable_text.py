"""What PostgreSQL's text cannot hold, kept out of JSON values before they are stored."""


def replace_unstorable(value: object) -> object:
    """The same JSON value with NUL and half surrogates replaced."""
    if isinstance(value, str):
        return value.replace("\0", "␀").encode(errors="replace").decode()
    if isinstance(value, list):
        return [replace_unstorable(item) for item in value]
    if isinstance(value, dict):
        return {str(replace_unstorable(key)): replace_unstorable(item) for key, item in value.items()}
    return value
