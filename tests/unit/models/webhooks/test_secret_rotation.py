"""Secrets of an endpoint: the newest sign, and never so many that a receiver refuses the header."""

from models.webhooks.endpoint import WebhookEndpoint
from models.webhooks.secret_rotation import MAX_REPLACED_SECRETS


def test_many_rotations_of_one_day_leave_the_newest_signing() -> None:
    endpoint = WebhookEndpoint(project_id="prj", url="https://example.com", secret="0", xact_id=0, position=0)
    for number in range(1, 31):
        endpoint.rotate(str(number))
    assert endpoint.valid_secrets == [str(number) for number in range(30, 30 - MAX_REPLACED_SECRETS - 1, -1)]
