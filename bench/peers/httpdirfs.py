"""httpdirfs with its cache."""

from .mounted import one_daemon


class Httpdirfs:
    name = "httpdirfs"
    keeps = True
    many = True

    def mounted(self, url, image, scratch):
        # Its range check asks for something that nginx answers without Accept-Ranges.
        return one_daemon(scratch, lambda directory, cache: [
            "httpdirfs", "-f", "--no-range-check", "--cache", "--cache-location", cache, url,
            directory], {"HOME": str(scratch)})
