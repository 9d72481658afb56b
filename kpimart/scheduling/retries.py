"""Which failures are worth another try."""

from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError

from kpimart.errors import KpiMartError


class RetryWhatMayPass(RetryPolicy):
    """Fail at once where another try cannot help; leave everything else to the `retries` of the task.

    Another try changes nothing about a refused gate or a defect of the code: it only puts off the moment at which
    somebody hears of it. What is left: errors that say of themselves that they may pass, Airflow's own troubles, and
    what is no `Exception`, such as a step that took too long.
    """

    def evaluate(self, exception: BaseException, *_: Any, **__: Any) -> RetryDecision:
        match exception:
            case KpiMartError():
                may_pass = exception.is_retryable
            case AirflowException() | AirflowRuntimeError():
                may_pass = True
            case _:
                may_pass = not isinstance(exception, Exception)
        if may_pass:
            return RetryDecision.default()
        return RetryDecision.fail(f"another try cannot help against {type(exception).__name__}")
