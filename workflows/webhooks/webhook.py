"""A webhook endpoint for as long as it is enabled: sends what is due, and sleeps until something is.

What is sent when is in the rows; this is the clock and the hand.  Nothing is lost with it: started anew, it
reads the rows and goes on.
"""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.webhooks.deliveries import (
        DeliveryAttempt,
        DueDeliveries,
        DueRequest,
        WebhookDeliveryActivities,
    )
    from activities.webhooks.waking import WAKE_SIGNAL, WEBHOOK_WORKFLOW, WebhookInput
    from workflows.activity_calls import application_error, run_local

ATTEMPT_TIMEOUT: Final = timedelta(seconds=60)
"""An attempt itself is over within 30 seconds; the rest is the database's."""
HEARTBEAT_TIMEOUT: Final = timedelta(seconds=6)
ATTEMPT_RETRY_POLICY: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
)
MAX_SLEEP: Final = timedelta(hours=6)
"""How long it sleeps at most: whoever lost its endpoint unawares ends by then."""
MAX_UNSETTLED_SECONDS: Final = 30.0


@workflow.defn(name=WEBHOOK_WORKFLOW)
class WebhookWorkflow:
    @workflow.init
    def __init__(self, input: WebhookInput) -> None:
        self.input = input
        self.woken = False
        self.sending: dict[str, asyncio.Task[None]] = {}
        self.unsettled = 0

    @workflow.run
    async def run(self, input: WebhookInput) -> None:
        workflow.set_current_details("Sends the project's events, as its endpoint says.")
        while True:
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(lambda: not self.sending)
                workflow.continue_as_new(input)  # a wake-up is no loss: it looks at once
            self.woken = False
            outlook = await self._take_due()
            if not outlook.is_over:
                for delivery_id in outlook.due:
                    self.sending[delivery_id] = asyncio.create_task(self._send(delivery_id))
                await self._sleep(outlook)
                continue
            await workflow.wait_condition(lambda: not self.sending)
            if not self.woken:
                return

    async def _take_due(self) -> DueDeliveries:
        sending = sorted(self.sending)
        look = DueRequest(endpoint_id=self.input.endpoint_id, at=workflow.now(), sending=sending)
        return await run_local(WebhookDeliveryActivities.take_due_deliveries, look)

    async def _sleep(self, outlook: DueDeliveries) -> None:
        """Until something is due, or somebody wakes it."""
        if outlook.is_behind:
            return
        rest = MAX_SLEEP
        if outlook.next_at is not None:
            rest = min(rest, max(outlook.next_at - workflow.now(), timedelta(milliseconds=1)))
        self.unsettled = self.unsettled + 1 if outlook.is_unsettled else 0
        if self.unsettled:
            seconds = min(MAX_UNSETTLED_SECONDS, 0.25 * 2 ** min(self.unsettled, 10))
            rest = min(rest, timedelta(seconds=seconds))
        try:
            await workflow.wait_condition(lambda: self.woken, timeout=rest)
        except TimeoutError:
            return

    async def _send(self, delivery_id: str) -> None:
        attempt = DeliveryAttempt(
            endpoint_id=self.input.endpoint_id, delivery_id=delivery_id, at=workflow.now()
        )
        try:
            await workflow.execute_activity_method(
                WebhookDeliveryActivities.attempt_delivery,
                attempt,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=ATTEMPT_RETRY_POLICY,
                summary=f"send {delivery_id}",
                priority=Priority(fairness_key=self.input.endpoint_id),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("webhook.attempt_broken: %s: %s", delivery_id, application_error(error))
            await run_local(WebhookDeliveryActivities.count_broken_attempt, attempt)
        finally:
            del self.sending[delivery_id]
            self.woken = True

    @workflow.signal(name=WAKE_SIGNAL)
    def wake(self) -> None:
        """There may be something to do."""
        self.woken = True
