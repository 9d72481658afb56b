"""The layers of a build, each of which reads only those before it. Loads nothing, so that a DAG file may name them."""

PATHS_OF_LAYERS = {
    "staging": ("seeds", "models/staging"),
    "intermediate": ("models/intermediate",),
    "core": ("models/marts/core",),
    "kpi": ("models/marts/kpi",),
    "insight": ("models/marts/insight",),
    "finance": ("models/marts/finance",),
}
"""A layer's folders in the dbt project; the first one has the seeds too."""

LAYERS = tuple(PATHS_OF_LAYERS)
