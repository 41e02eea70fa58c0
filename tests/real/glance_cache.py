"""Glance's own ImageCache, driven by a test.

    glance_cache.py CACHE_DIR DRIVER [OPTION=VALUE ...] < calls

OPTION is one of Glance's image_cache_*. Standard input is a JSON list of calls, each a list of a
method of ImageCache, or of its driver, and its arguments; what each returned is printed as a JSON
list. Beside Glance's methods there are
    read ID            all through open_for_read, as the middleware does: {"size", "md5"}
    read_half ID       the same by somebody who leaves after the first piece
    cache ID FILE      cache_image_file
    tee ID FILE MD5    what get_caching_iter gives to the reader: {"size", "md5", "error"}
    tee_half ID FILE   the same by a reader who leaves after the first piece
    driver             the name of the driver in use
An exception is {"error": its name}.
"""
import hashlib
import json
import logging
import sys
import time

from oslo_config import cfg

from glance.common import exception
from glance.common import utils
from glance import image_cache
from glance.image_cache.drivers import sqlite as sqlite_driver  # noqa: F401: registers its option

CONF = cfg.CONF


def open_cache(cache_dir, driver, options=()):
    CONF([], project='glance', default_config_files=[])
    CONF.set_override('image_cache_dir', cache_dir)
    CONF.set_override('image_cache_driver', driver)
    for option in options:
        name, value = option.split('=')
        CONF.set_override(name, int(value))
    # Glance does not wait at all for a cache.db that is locked when it starts: what runs it starts it
    # again.
    for attempt in range(50):
        try:
            return image_cache.ImageCache()
        except exception.BadDriverConfiguration:
            time.sleep(0.1)
    return image_cache.ImageCache()


def pieces(path, size=64 << 10):
    with open(path, 'rb') as image:
        while True:
            piece = image.read(size)
            if not piece:
                return
            yield piece


def summed(iterator):
    md5, size = hashlib.md5(), 0
    error = None
    try:
        for piece in iterator:
            md5.update(piece)
            size += len(piece)
    except Exception as e:
        error = type(e).__name__
    return {'size': size, 'md5': md5.hexdigest(), 'error': error}


class Calls(object):
    def __init__(self, cache):
        self.cache = cache

    def read(self, image_id):
        with self.cache.open_for_read(image_id) as image:
            return summed(utils.chunkiter(image))

    def read_half(self, image_id):
        def reader():
            with self.cache.open_for_read(image_id) as image:
                for piece in utils.chunkiter(image):
                    yield piece
        half = reader()
        return len(next(half))  # and it is dropped here

    def cache_file(self, image_id, path):
        with open(path, 'rb') as image:
            return self.cache.cache_image_file(image_id, image)

    def tee(self, image_id, path, checksum=None):
        return summed(self.cache.get_caching_iter(image_id, checksum, pieces(path)))

    def tee_half(self, image_id, path):
        half = iter(self.cache.get_caching_iter(image_id, None, pieces(path)))
        return len(next(half))

    def driver(self):
        return type(self.cache.driver).__module__.rsplit('.', 1)[1]

    def call(self, name, *arguments):
        own = {'cache': 'cache_file', 'tee': 'tee', 'tee_half': 'tee_half', 'read': 'read',
               'read_half': 'read_half', 'driver': 'driver'}
        if name in own:
            return getattr(self, own[name])(*arguments)
        where = self.cache if hasattr(self.cache, name) else self.cache.driver
        return getattr(where, name)(*arguments)


def main():
    logging.disable(logging.CRITICAL)  # it logs a traceback for what a test provokes
    calls = Calls(open_cache(sys.argv[1], sys.argv[2], sys.argv[3:]))
    results = []
    for call in json.load(sys.stdin):
        try:
            results.append(calls.call(*call))
        except Exception as e:
            results.append({'error': type(e).__name__, 'message': str(e)})
    json.dump(results, sys.stdout)


if __name__ == '__main__':
    main()
