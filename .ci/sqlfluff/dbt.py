"""What dbt gives to Jinja as `dbt`, for sqlfluff: functions that are written otherwise in each database."""


def datediff(first: str, second: str, part: str) -> str:
    return f"datediff('{part}', {first}, {second})"
