select count(*) as row_count
from {{ ref('build_moment') }}
having count(*) <> 1
