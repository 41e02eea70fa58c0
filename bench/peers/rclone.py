"""rclone mount, with its cache of files (the only mode that keeps anything)."""

from .mounted import one_daemon


class Rclone:
    name = "rclone mount"
    keeps = True
    many = True

    def mounted(self, url, image, scratch):
        return one_daemon(scratch, lambda directory, cache: [
            "rclone", "mount", ":http:", directory, "--http-url", url, "--read-only",
            "--vfs-cache-mode", "full", "--cache-dir", cache], {"RCLONE_CONFIG": "/dev/null"})
