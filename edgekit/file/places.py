"""Folders a database file should not live in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "sshfs", "fuse.sshfs", "9p", "webdav", "davfs", "ncpfs",
    "glusterfs", "ceph",
}  # fmt: skip
_SYNCED = (
    "onedrive", "dropbox", "google drive", "googledrive", "icloud drive", "com~apple~clouddocs", "nextcloud",
    "box sync",
)  # fmt: skip


def unsafe(path: Path) -> str | None:
    """Say why a file must not be at this path (a network folder), or None."""
    kind = _file_system(path.parent)
    if kind is None:
        return None
    return f"{path.parent} is a network folder ({kind}): a database there can lose what was written."


def synchronised(path: Path) -> str | None:
    """Say which synchronised folder a path is in (OneDrive, Dropbox …), or None. A warning, not a refusal."""
    for part in path.resolve().parts:
        if part.lower().startswith(_SYNCED):
            return f"{path} is in a synchronised folder ({part}): it may be copied half-written, or locked."
    return None


def _file_system(folder: Path) -> str | None:
    """Name the network file system a folder is on, or None for a local disk."""
    resolved = str(folder.resolve())
    if sys.platform == "win32":
        if resolved.startswith("\\\\"):
            return "a share"
        import ctypes

        drive = os.path.splitdrive(resolved)[0] + "\\"
        return "a mapped network drive" if ctypes.windll.kernel32.GetDriveTypeW(drive) == 4 else None
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "a network volume" if resolved.startswith(("/net/", "/Network/")) else None
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ")
        inside = point == "/" or resolved == point or resolved.startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind if kind in _NETWORK else None
