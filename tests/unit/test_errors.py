"""Every error says of itself what a command ends with and whether another try can help."""

import inspect

import pytest

from kpimart import errors
from kpimart.errors import KpiMartError

ERRORS = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, KpiMartError)]


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.SettingsError, 2),
        (errors.ReleaseNotFound, 2),
        (errors.UpgradeNeeded, 2),
        (errors.ProgramTooOld, 2),
        (errors.GateRefused, 3),
        (errors.SourceUnreachable, 4),
        (errors.BadSourceData, 1),
        (errors.BuildFailed, 1),
        (errors.WarehouseBusy, 1),
        (errors.StorageFailed, 1),
        (errors.TargetUnavailable, 4),
        (errors.TargetFailed, 1),
        (errors.ReleaseDamaged, 1),
        (errors.KpiMartError, 1),
    ],
)
def test_an_error_carries_the_exit_code_of_the_design(error: type[KpiMartError], exit_code: int) -> None:
    assert error("why").exit_code == exit_code


def test_what_may_pass_by_itself_is_worth_another_try() -> None:
    retried = {each for each in ERRORS if each.is_retryable}
    assert retried == {
        errors.SourceUnreachable,
        errors.TargetUnavailable,
        errors.WarehouseBusy,
        errors.StorageFailed,
    }


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_documented_by_itself(error: type[KpiMartError]) -> None:
    assert error.__dict__["__doc__"].rstrip().endswith(".")


@pytest.mark.parametrize("error", ERRORS)
def test_the_text_of_an_error_is_what_was_said(error: type[KpiMartError]) -> None:
    assert str(error("deals, line 3: no id")) == "deals, line 3: no id"
