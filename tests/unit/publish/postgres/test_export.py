from kpimart.publish.contract import PUBLISHED


def rows_of(company, target) -> None:
    for table in PUBLISHED:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f"select {columns} from {table.name} order by {', '.join(table.key)}"
        assert target.ask(query) == company.ask(query), table.name


def test_every_table_holds_the_rows_of_the_release(company, target) -> None:
    company.publish()
    done = target.export()
    rows_of(company, target)
    assert done.former_id is None
    second = company.publish()
    again = target.export()
    rows_of(company, target)
    assert target.served_id() == second.release_id
    print(again)
    assert target.export().is_unchanged
