"""What dbt gives to Jinja as `modules`, for sqlfluff."""

import re as re
