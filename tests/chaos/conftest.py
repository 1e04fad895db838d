from tests.runs.fixtures import parts, site

__all__ = ["parts", "site"]
