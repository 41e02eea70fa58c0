"""What is compared: each peer mounts (or fetches) in its own way, behind one small interface.

A peer has
    name                    as it stands in the tables
    keeps                   whether what was read is kept on disk: can it be warm?
    many                    whether one mount shows all images of a directory
    mounted(url, image, scratch)   a context manager; gives a Mounted. `url` is a directory
"""
