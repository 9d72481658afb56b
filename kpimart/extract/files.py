"""Files: any CRM's export as CSV, NDJSON or Parquet, described in the settings instead of programmed.

Reads: the files mapped in `files.<object>` below one folder. Several files may hold one object.
Keeps: the mapped columns only, under the source's names, with values as the source wrote them.
Cannot tell: who changed a record; when it changed, unless `updated_at` is mapped; that it vanished, from a `delta`.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from kpimart.errors import SettingsError, SourceUnreachable
from kpimart.extract.canonical import CanonicalObject, check_mappings, format_of, mappings_of, stage_names
from kpimart.extract.mapped import Context, read_object
from kpimart.extract.readers import SourceFile, check_file, read_chunks
from kpimart.extract.records import Batch, ObjectRead, Progress, silent
from kpimart.settings import FileMapping, Settings


def open_files(
    settings: Settings, folder: Path | None, *, extracted_at: datetime, progress: Progress | None = None
) -> Iterator[Batch | ObjectRead]:
    """The mapped objects below `folder` (default: `files.folder`), batch by batch.

    What is wrong with the mapping, or with a file as a whole, is raised now rather than when the first batch is taken:
    SettingsError, SourceUnreachable, BadSourceData.
    """
    check_mappings(settings, "files")
    root = folder or settings.files.folder
    if root is None:
        raise SettingsError("files.folder: no folder to read from; name it there, or with --files FOLDER")
    if not root.is_dir():
        raise SourceUnreachable(f"files: there is no folder {root}; name the folder of the export with --files FOLDER")
    sources = [
        [_source_file(each, mapping, root) for mapping in mappings]
        for each, mappings in mappings_of(settings.files).items()
    ]
    for files in sources:
        for file in files:
            check_file(file)
    context = Context(stage_names(settings.files), settings.zone, extracted_at, progress or silent)
    return (item for files in sources for item in read_object(files, read_chunks, context))


def _source_file(each: CanonicalObject, mapping: FileMapping, root: Path) -> SourceFile:
    file_format = format_of(mapping)
    if file_format is None:
        raise SettingsError(f"files.{each.name}: {mapping.file}: say how it is written with 'format'")
    return SourceFile(each, mapping, root / mapping.file, file_format)
