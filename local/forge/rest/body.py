"""What every JSON body has in common."""

from pydantic import BaseModel, field_validator


class Body(BaseModel):
    """Fields that are not known are ignored, as on GitHub."""

    @field_validator("*")
    @classmethod
    def can_be_written(cls, value: object) -> object:
        """JSON can spell half a surrogate pair, which neither git nor the database can take."""
        if isinstance(value, str):
            value.encode()
        return value
