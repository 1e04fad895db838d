"""Answers for runs at work: a message to each, as a client would send it."""

from uuid import NAMESPACE_OID, uuid5

from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.issues.answering import load_questions
from activities.issues.prompts import answers_prompt
from kit.database import Database
from kit.logs import logger
from models import AnsweringSession, FollowUp, Run
from models.agent.session import MessageSource

log = logger(__name__)


class AnswerRecipient(BaseModel):
    answering_session_id: str
    run_id: str


class AnswerDelivery:
    def __init__(self, database: Database, client: Client) -> None:
        self.database, self.client = database, client

    @activity.defn(name="tell_run")
    async def send_answers_to_run(self, ask: AnswerRecipient) -> bool:
        """Send a run the answers; False when its steps were over already.

        Killed anywhere, it is done again: message and update carry ids made of session and run, so the run is
        told once.
        """
        message_id = f"msg_{uuid5(NAMESPACE_OID, f'{ask.answering_session_id}:{ask.run_id}').hex}"
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, ask.answering_session_id)
            run = await session.get_one(Run, ask.run_id)
            words = answers_prompt(await load_questions(session, row.id))
            if words is None or run.is_finished:
                return False
            if await session.get(FollowUp, message_id) is None:
                session.add(
                    FollowUp(
                        id=message_id,
                        project_id=run.project_id,
                        job_id=run.id,
                        source=MessageSource.platform,
                        content=words,
                    )
                )
        try:
            handle = self.client.get_workflow_handle(run.id)
            await handle.execute_update("follow_up", message_id, id=message_id)
        except (WorkflowUpdateFailedError, RPCError) as error:
            if isinstance(error, RPCError) and error.status is not RPCStatusCode.NOT_FOUND:
                raise ConnectionError("the engine") from error
            refused = isinstance(error, WorkflowUpdateFailedError)
            return not await self._withdraw_message(message_id, ask.run_id, was_refused=refused)
        return True

    async def _withdraw_message(self, message_id: str, run_id: str, *, was_refused: bool) -> bool:
        """Delete the message if no agent will be told it; False when one will be, or was.

        A run that is not over and has no workflow has yet to begin: it finds the message when it does.
        """
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id, with_for_update=True)
            message = await session.get(FollowUp, message_id, with_for_update=True)
            if message is None or not message.is_queued or not (run.is_finished or was_refused):
                return False
            await session.delete(message)
        log.info("a run was over before it could be told the answers", run_id=run_id)
        return True
