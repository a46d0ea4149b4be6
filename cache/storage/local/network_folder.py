"""Folders on network file systems. Their locks do not reach other hosts, so two hosts would damage a cache there."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from cache.errors import SettingsInvalid

NETWORK_TYPES = frozenset(
    (
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ncpfs", "davfs", "webdav", "afpfs"),
        *("ceph", "glusterfs", "fuse.glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "orangefs"),
        *("fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.davfs", "fuse.goofys", "fuse.blobfuse2"),
    )
)


def file_system(folder: Path) -> str:
    """Returns the type of the file system that holds a folder, such as `ext4`; empty if it is not known.

    Args:
        folder: The folder. It need not exist yet.
    """
    path = os.path.realpath(folder)
    mounted = ""
    found = ""
    for partition in psutil.disk_partitions(all=True):  # in the order of mounting: a later one covers an earlier one
        point = partition.mountpoint
        inside = path == point or path.startswith(point.rstrip(os.sep) + os.sep)
        if inside and len(point) >= len(mounted):
            mounted, found = point, partition.fstype
    return found


def refuse_network_folder(setting: str, folder: Path) -> None:
    """Checks that a folder is on a disk of this host.

    Args:
        setting: The setting that names the folder.
        folder: The folder. It need not exist yet.

    Raises:
        SettingsInvalid: It is on a network file system.
    """
    kind = file_system(folder)
    if kind.lower() in NETWORK_TYPES:
        raise SettingsInvalid(
            f"{setting} names a network folder ({kind}). Two hosts would damage it.",
            "Use a folder on a disk of this host. For several hosts, set CACHE_URL=postgresql://…",
        )
