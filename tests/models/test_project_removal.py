"""A law: every table's rows go with their project, or the table is known to have none of a project."""

from sqlmodel import SQLModel

from models.projects.project_rows import LAST, rows_of_project, tables_of

OF_NO_PROJECT = {"github_delivery", "installation", "pacing", "sweep"}
"""Of the whole installation."""


def test_every_table_is_deleted_with_its_project() -> None:
    names = [table.name for table, _ in tables_of("prj_x")]
    assert len(names) == len(set(names))
    assert set(names) == SQLModel.metadata.tables.keys() - OF_NO_PROJECT
    assert names[-1] == "project"
    assert {name for name, _ in rows_of_project("prj_x", 1)} == set(names) - LAST


def test_what_refers_to_others_goes_first() -> None:
    """A row that refers to one of its own table goes with that."""
    names = [table.name for table, _ in tables_of("prj_x")]
    for table, _ in tables_of("prj_x"):
        for key in table.foreign_keys:
            if key.column.table is table:
                assert key.ondelete == "CASCADE", table.name
            else:
                assert names.index(table.name) < names.index(key.column.table.name), table.name
