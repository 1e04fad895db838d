"""A law: every table's rows go with their project, or the table is known to have none of a project."""

from sqlmodel import SQLModel

from models.projects.project_rows import TABLES_DELETED_LAST, delete_statements, project_tables

OF_NO_PROJECT = {"github_delivery", "installation", "pacing", "sweep"}
"""Of the whole installation."""


def test_every_table_is_deleted_with_its_project() -> None:
    names = [table.name for table, _ in project_tables("prj_x")]
    assert len(names) == len(set(names))
    assert set(names) == SQLModel.metadata.tables.keys() - OF_NO_PROJECT
    assert names[-1] == "project"
    assert {name for name, _ in delete_statements("prj_x", 1)} == set(names) - TABLES_DELETED_LAST


def test_what_refers_to_others_goes_first() -> None:
    """A row that refers to one of its own table goes with that."""
    names = [table.name for table, _ in project_tables("prj_x")]
    for table, _ in project_tables("prj_x"):
        for key in table.foreign_keys:
            if key.column.table is table:
                assert key.ondelete == "CASCADE", table.name
            else:
                assert names.index(table.name) < names.index(key.column.table.name), table.name
