"""What is left of a record whose person was forgotten, and what is searched for elsewhere."""

from typing import Any

import orjson
import pytest

from kpimart.errors import SettingsError
from kpimart.extract.forgetting import RecordName, erased_payload, erasure_of, mentions_of, parse_record, texts_in
from kpimart.settings import Settings


def files(**columns: str) -> Settings:
    mapping = {"file": "people.csv", "columns": columns}
    return Settings.model_validate({"files": {"managers": (mapping,)}})


def left(source: str, object_name: str, record: dict[str, Any], settings: Settings | None = None) -> Any:
    erasure = erasure_of(settings or Settings(), source, object_name)
    return orjson.loads(erased_payload(orjson.dumps(record).decode(), erasure))


def texts(source: str, object_name: str, record: dict[str, Any]) -> set[str]:
    return texts_in(orjson.dumps(record).decode(), erasure_of(Settings(), source, object_name))


CONTACT = {
    "id": "501",
    "createdAt": "2026-01-05T10:00:00Z",
    "properties": {
        "firstname": "Ann",
        "lastname": "Smith",
        "email": "ann@example.com",
        "phone": "+49 30 5550 00501",
        "hubspot_owner_id": "77",
        "a_property_that_the_settings_asked_for": "likes sailing",
    },
}


def test_of_a_contact_stays_whose_it_is_and_when_it_came() -> None:
    assert left("hubspot", "contacts", CONTACT) == {
        "id": "501",
        "createdAt": "2026-01-05T10:00:00Z",
        "properties": {"hubspot_owner_id": "77"},
        "forgotten": True,
    }


def test_a_name_that_is_kept_becomes_forgotten_and_what_lies_in_lists_stays() -> None:
    owner = {"id": "77", "firstName": "Ann", "lastName": "Smith", "teams": [{"id": "5", "name": "North"}]}
    assert left("hubspot", "owners", owner) == {
        "id": "77",
        "firstName": "forgotten",
        "lastName": None,
        "teams": [{"id": "5", "name": "North"}],
        "forgotten": True,
    }


def test_to_forget_what_is_forgotten_changes_nothing() -> None:
    once = left("hubspot", "contacts", CONTACT)
    assert left("hubspot", "contacts", once) == once


def test_a_mapped_record_keeps_its_columns_by_which_its_mapping_is_known() -> None:
    record = {"No": "A-1", "Name": "Ann Smith", "Team": "North"}
    settings = files(id="No", name="Name", department="Team")
    assert left("files", "managers", record, settings) == {"No": "A-1", "Name": "forgotten", "Team": "North"}


def test_a_name_that_is_the_id_too_stays() -> None:
    record = {"Agent": "Ann Smith", "Team": "North"}
    assert left("files", "managers", record, files(id="Agent", name="Agent", department="Team")) == record


def test_a_payload_that_is_no_record_keeps_nothing() -> None:
    erasure = erasure_of(Settings(), "hubspot", "contacts")
    assert erased_payload("Ann Smith;broken", erasure) == '{"forgotten":true}'


def test_whole_names_and_contacts_are_searched_for_and_no_first_name_alone() -> None:
    assert texts("hubspot", "contacts", CONTACT) == {
        "Ann Smith",
        "Smith Ann",
        "Smith, Ann",
        "ann@example.com",
        "+49 30 5550 00501",
    }


def test_contacts_in_lists_are_found_and_the_words_beside_them_are_not() -> None:
    record = {"ID": "1", "NAME": "Ann", "LAST_NAME": "Smith", "PHONE": [{"VALUE": "+49 30 5550", "VALUE_TYPE": "WORK"}]}
    found = texts("bitrix24", "users", record)
    assert {"Ann Smith", "+49 30 5550"} <= found
    assert not {"Ann", "WORK"} & found


def test_a_name_of_one_word_is_apart_and_an_id_is_no_name() -> None:
    mentions = mentions_of(RecordName("files", "managers", "Ann"), {"Ann", "Cid", "Ann Smith"}, ("Smithy ",))
    assert mentions.phrases == {"Ann Smith", "Smithy"}
    assert mentions.names == {"Cid"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hubspot:contacts", "name a record as <crm>:<object>:<id>"),
        ("hubspt:contacts:5", "there is no source 'hubspt'"),
        ("hubspot:people:5", "hubspot has no object 'people'; known are deals"),
    ],
)
def test_a_record_that_cannot_be_is_refused(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        parse_record(text)


def test_an_id_may_have_colons() -> None:
    assert parse_record("files:accounts:A:1").id == "A:1"
