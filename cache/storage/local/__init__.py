"""The cache in files on the disk of this machine."""
