"""What Clerk's webhooks say, as far as we heed it; everything else in a payload is ignored."""

from typing import Annotated

from pydantic import BaseModel, Field

Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]+$")]


class ClerkVerification(BaseModel):
    status: str | None = None


class ClerkAddress(BaseModel):
    id: Text
    email_address: Text
    verification: ClerkVerification | None = None

    @property
    def is_verified(self) -> bool:
        """Whether Clerk saw that the address is the account's; anybody may enter anybody's."""
        return self.verification is not None and self.verification.status == "verified"


class ClerkUser(BaseModel):
    """An account; of one that was deleted Clerk mostly tells the id alone."""

    id: Text
    email_addresses: list[ClerkAddress] = []
    primary_email_address_id: str | None = None

    @property
    def primary_email(self) -> str | None:
        """The primary address, if it is verified."""
        for address in self.email_addresses:
            if address.id == self.primary_email_address_id and address.is_verified:
                return address.email_address
        return None


class ClerkEvent(BaseModel):
    """Any event; what it is about depends on its type."""

    type: Text


class UserDeleted(BaseModel):
    data: ClerkUser
