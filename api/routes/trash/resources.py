"""The trash verbs of the resources that have them."""

from api.http.router import Router
from api.routes.trash.verbs import TrashVerbs
from models.blueprints.blueprint_schemas import WORKFLOWS
from models.blueprints.persona_schemas import PERSONAS
from models.issues.issue_session_schemas import ISSUE_SESSIONS, IssueSessionId, IssueSessionIds
from models.learnings.learning_schemas import LEARNINGS, LearningRef, LearningRefs
from models.runs.run_schemas import RUNS
from models.sandboxes.sandbox_schemas import SANDBOXES
from models.trash import kinds
from models.trash.reference_schemas import (
    PersonaRef,
    PersonaRefs,
    RunRef,
    RunRefs,
    SandboxRef,
    WorkflowRef,
    WorkflowRefs,
)

runs = Router("/runs", "Runs")
_runs = TrashVerbs(runs, kinds.RUN, RUNS, RunRef)
_OF_RUNS = "One at work has to be cancelled first, and a chain that it belongs to has to be over: 409."
_runs.delete(f"Its number is never used again. {_OF_RUNS}")
_runs.restore()
_runs.permanent_delete(
    "Its steps, conversations, sandboxes, log and checkpoint go with it; what it cost stays in the books. "
    f"{_OF_RUNS}"
)
_runs.bulk_delete(RunRefs, _OF_RUNS)

sandboxes = Router("/sandboxes", "Sandboxes")
_sandboxes = TrashVerbs(sandboxes, kinds.SANDBOX, SANDBOXES, SandboxRef)
_OF_SANDBOXES = "A live one in which a job is at work: 409."
_sandboxes.delete(f"A live one that no job needs is killed soon afterwards. {_OF_SANDBOXES}")
_sandboxes.restore()
_sandboxes.permanent_delete(
    f"A live one is killed; its log and the conversations in it go with it. {_OF_SANDBOXES}"
)

workflows = Router("/workflows", "Workflows")
_workflows = TrashVerbs(workflows, kinds.WORKFLOW, WORKFLOWS, WorkflowRef)
_OF_WORKFLOWS = "One that an active recurring task or a chain at work uses: 409, which names it."
_workflows.delete(f"Runs in flight go on. {_OF_WORKFLOWS}")
_workflows.restore()
_workflows.permanent_delete(f"Its versions go with it; its runs stay and keep its name. {_OF_WORKFLOWS}")
_workflows.bulk_delete(WorkflowRefs, _OF_WORKFLOWS)

personas = Router("/personas", "Personas")
_personas = TrashVerbs(personas, kinds.PERSONA, PERSONAS, PersonaRef)
_OF_PERSONAS = "Runs in flight keep it; a workflow that names it cannot start until it names another one."
_personas.delete(_OF_PERSONAS)
_personas.bulk_delete(PersonaRefs, _OF_PERSONAS)

issue_sessions = Router("/issue-sessions", "Issue Sessions")
_issue_sessions = TrashVerbs(issue_sessions, kinds.ISSUE_SESSION, ISSUE_SESSIONS, IssueSessionId)
_OF_SCANS = "One at work, or with an answering session at work on it: 409."
_issue_sessions.delete(f"Its issues stay. {_OF_SCANS}")
_issue_sessions.restore()
_issue_sessions.permanent_delete(
    f"Its conversation and its answering sessions go with it; its issues stay. {_OF_SCANS}"
)
_issue_sessions.bulk_delete(IssueSessionIds, _OF_SCANS)

learnings = Router("/learnings", "Learnings")
_learnings = TrashVerbs(learnings, kinds.LEARNING, LEARNINGS, LearningRef)
_OF_LEARNINGS = "Versions that hold it do not change; the next one is compiled without it."
_learnings.delete(_OF_LEARNINGS)
_learnings.restore()
_learnings.permanent_delete(_OF_LEARNINGS)
_learnings.bulk_delete(LearningRefs, _OF_LEARNINGS)

routers = [runs, sandboxes, workflows, personas, issue_sessions, learnings]
