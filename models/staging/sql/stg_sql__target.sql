-- One row per version of a target that this warehouse saw.
{{ mapped_target('sql') }}
