"""Files: any CRM's export as CSV, NDJSON or Parquet, described in the settings instead of programmed.

Reads: the files mapped in `files.<object>` below one folder. Several files may hold one object.
Keeps: the mapped columns only, under the source's names, with values as the source wrote them.
Cannot tell: who changed a record; when it changed, unless `updated_at` is mapped; that it vanished, from a `delta`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path

from kpimart.errors import SettingsError, SourceUnreachable
from kpimart.extract.canonical import CanonicalObject, check_mappings, format_of, mappings_of, stage_names
from kpimart.extract.mapped import Context, read_object
from kpimart.extract.readers import SourceFile, check_file, read_chunks
from kpimart.extract.records import Batch, ObjectRead, Progress, silent
from kpimart.settings import FileMapping, Settings

State = dict[Path, tuple[int, int, int] | None]
"""File → its size, its time of change (ns) and its inode; None where it is not there."""


def open_files(
    settings: Settings, folder: Path | None, *, extracted_at: datetime, progress: Progress | None = None
) -> Iterator[Batch | ObjectRead]:
    """The mapped objects below `folder` (default: `files.folder`), batch by batch.

    What is wrong with the mapping, or with a file as a whole, is raised now rather than when the first batch is taken:
    SettingsError, SourceUnreachable, BadSourceData.
    """
    root, files = mapped_files(settings, folder)
    if not root.is_dir():
        raise SourceUnreachable(f"files: there is no folder {root}; name the folder of the export with --files FOLDER")
    before = state_of(file.path for file in files)
    for file in files:
        check_file(file)
    context = Context(stage_names(settings.files), settings.zone, extracted_at, progress or silent)
    return _read_all(files, before, context)


def mapped_files(settings: Settings, folder: Path | None) -> tuple[Path, list[SourceFile]]:
    """The folder of the export and the files that are mapped in it; raises SettingsError where the mapping is wrong."""
    check_mappings(settings, "files")
    root = folder or settings.files.folder
    if root is None:
        raise SettingsError("files.folder: no folder to read from; name it there, or with --files FOLDER")
    mapped = mappings_of(settings.files).items()
    return root, [_source_file(each, mapping, root) for each, mappings in mapped for mapping in mappings]


def state_of(paths: Iterable[Path]) -> State:
    """What tells each file from what it was before; None for one that is not there."""
    return {path: _state_of(path) for path in paths}


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _read_all(files: list[SourceFile], before: State, context: Context) -> Iterator[Batch | ObjectRead]:
    for _, of_one_object in groupby(files, key=lambda file: file.each.name):
        yield from read_object(list(of_one_object), read_chunks, context)
    changed = [path for path, state in state_of(before).items() if state != before[path]]
    if changed:
        raise SourceUnreachable(
            f"files: {', '.join(map(str, changed))} changed while the export was read, of which nothing is kept; "
            "rerun when it is written"
        )


def _source_file(each: CanonicalObject, mapping: FileMapping, root: Path) -> SourceFile:
    file_format = format_of(mapping)
    if file_format is None:
        raise SettingsError(f"files.{each.name}: {mapping.file}: say how it is written with 'format'")
    return SourceFile(each, mapping, root / mapping.file, file_format)
