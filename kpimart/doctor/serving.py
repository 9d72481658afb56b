"""What is served: from disk, and by PostgreSQL."""

from collections.abc import Iterator

from kpimart.doctor.check import Asked, Check
from kpimart.publish.release import current, verify_release
from kpimart.publish.shelf import Shelf


def release(asked: Asked) -> Check | str:
    """The chain of manifests, the files of all releases by their size, and every byte of the served one."""
    shelf = Shelf(asked.home)
    problems = dict.fromkeys([*shelf.unreadable.values(), *shelf.broken_links(), *_cut_short(shelf)])
    if problems:
        advice = "serve a sound one with kpimart rollback, then find out who writes there"
        return Check("release", "failed", f"{'; '.join(problems)}; {advice}")
    served = current(asked.home)
    if served is None:
        return "none yet; kpimart run makes the first"
    verify_release(asked.home, served.release_id)
    return f"{served.release_id} is served, figures as of {served.as_of:%Y-%m-%d %H:%M %Z}, checksums right"


def _cut_short(shelf: Shelf) -> Iterator[str]:
    for manifest in shelf.kept:
        for name, record in manifest.files.items():
            file = shelf.folder(manifest.release_id) / name
            if not file.exists():
                yield f"release {manifest.release_id} is damaged: {name} is missing"
            elif file.stat().st_size != record.bytes:
                yield f"release {manifest.release_id} is damaged: {name} has another size than its manifest says"


def postgres(asked: Asked) -> Check:
    """The connection, the roles, who is served, and whether it is what is served from disk."""
    from kpimart.publish.postgres.access import read_entries
    from kpimart.publish.postgres.connection import connected
    from kpimart.publish.postgres.export import served_id
    from kpimart.publish.postgres.schema import excess_rights, logins_without_role, require_usable

    entries = read_entries(asked.settings.postgres.access)
    with connected(asked.settings.postgres) as server:
        require_usable(server)
        served, excess = served_id(server), excess_rights(server)
        without_role = logins_without_role(server, {entry.login for entry in entries})
    on_disk = current(asked.home)
    problems = [f"{login} of postgres.access is no member of kpi_head or kpi_manager" for login in without_role]
    problems += [f"the publishing role {what}" for what in excess]
    if on_disk and on_disk.release_id != served:
        problems.append(f"{on_disk.release_id} is served from disk: kpimart export postgres")
    found = f"serves {served or 'no release yet'}"
    return Check("postgres", "warning" if problems else "ok", "; ".join([found, *problems]))
