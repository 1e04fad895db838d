"""What a client sends to move objects of a kind to the trash, out of it, and away for good."""

from typing import Annotated, Protocol

from pydantic import AliasChoices, Field

from kit.schemas import Body
from models.json_view import example

RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
SANDBOX = "s_0198f2c5e4f57a1b9c2d4e6f8a0b1c2d"
WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
PERSONA = "per_0198f2c4b1c27d3e8f4a5b6c7d8e9f0a"
Ids = Annotated[list[str], Field(min_length=1, max_length=100)]


class Ref(Protocol):
    """A body that names one object."""

    @property
    def id(self) -> str: ...


class Refs(Protocol):
    """A body that names several."""

    @property
    def ids(self) -> list[str]: ...


class RunRef(Body):
    """Names a run."""

    model_config = example(runId=RUN)
    run_id: Annotated[str, Field(validation_alias=AliasChoices("runId", "id"))]
    """The run's id."""

    @property
    def id(self) -> str:
        return self.run_id


class RunRefs(Body):
    """Names several runs."""

    model_config = example(runIds=[RUN])
    run_ids: Ids
    """The runs' ids; unknown ones are passed over."""

    @property
    def ids(self) -> list[str]:
        return self.run_ids


class SandboxRef(Body):
    """Names a sandbox."""

    model_config = example(sandboxId=SANDBOX)
    sandbox_id: Annotated[str, Field(validation_alias=AliasChoices("sandboxId", "id"))]
    """The sandbox's id."""

    @property
    def id(self) -> str:
        return self.sandbox_id


class WorkflowRef(Body):
    """Names a workflow."""

    model_config = example(workflowId=WORKFLOW)
    workflow_id: Annotated[str, Field(validation_alias=AliasChoices("workflowId", "id"))]
    """The workflow's id."""

    @property
    def id(self) -> str:
        return self.workflow_id


class WorkflowRefs(Body):
    """Names several workflows."""

    model_config = example(workflowIds=[WORKFLOW])
    workflow_ids: Ids
    """The workflows' ids; unknown ones are passed over."""

    @property
    def ids(self) -> list[str]:
        return self.workflow_ids


class PersonaRef(Body):
    """Names a persona."""

    model_config = example(personaId=PERSONA)
    persona_id: Annotated[str, Field(validation_alias=AliasChoices("personaId", "id"))]
    """The persona's id."""

    @property
    def id(self) -> str:
        return self.persona_id


class PersonaRefs(Body):
    """Names several personas."""

    model_config = example(personaIds=[PERSONA])
    persona_ids: Ids
    """The personas' ids; unknown ones are passed over."""

    @property
    def ids(self) -> list[str]:
        return self.persona_ids
