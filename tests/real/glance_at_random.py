"""Glance's own ImageCache doing something at random with a cache directory, again and again.

    glance_at_random.py CACHE_DIR DRIVER SECONDS SEED IMAGES_DIR MAX_SIZE

IMAGES_DIR has what each image is. Prints one JSON object at the end: how often each operation went
well or ended with an exception (a file that somebody else took away, say), and in "wrong" every read
that gave other bytes than the image's.
"""
import collections
import hashlib
import json
import logging
import os
import random
import sys
import time

import glance_cache


def main():
    cache_dir, driver, seconds, seed, images_dir, max_size = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    choose = random.Random(int(seed))
    calls = glance_cache.Calls(
        glance_cache.open_cache(cache_dir, driver, ['image_cache_max_size=' + max_size]))
    paths, md5 = {}, {}
    for name in sorted(os.listdir(images_dir)):
        if len(name) == 36:
            paths[name] = os.path.join(images_dir, name)
            with open(paths[name], 'rb') as image:
                md5[name] = hashlib.md5(image.read()).hexdigest()

    operations = {
        'read': (8, lambda i: calls.read(i)),
        'tee': (6, lambda i: calls.tee(i, paths[i], md5[i])),
        'tee_half': (1, lambda i: calls.tee_half(i, paths[i])),
        'cache_file': (3, lambda i: calls.cache_file(i, paths[i])),
        'delete_cached_image': (2, lambda i: calls.cache.delete_cached_image(i)),
        'queue_image': (2, lambda i: calls.cache.queue_image(i)),
        'delete_queued_image': (1, lambda i: calls.cache.delete_queued_image(i)),
        'get_cached_images': (1, lambda i: calls.cache.get_cached_images() and None),
        'prune': (1, lambda i: calls.cache.prune() and None),
        'clean': (0.5, lambda i: calls.cache.clean()),
    }
    names = list(operations)
    weights = [operations[name][0] for name in names]
    done, wrong = collections.Counter(), []
    end = time.time() + float(seconds)
    while time.time() < end:
        name = choose.choices(names, weights)[0]
        image_id = choose.choice(list(paths))
        try:
            result = operations[name][1](image_id)
            done[name] += 1
            if name in ('read', 'tee') and result['md5'] != md5[image_id]:
                wrong.append([name, image_id, result])
        except Exception as e:
            done['%s: %s' % (name, type(e).__name__)] += 1
        time.sleep(choose.random() * 0.02)
    json.dump({'done': done, 'wrong': wrong}, sys.stdout)


if __name__ == '__main__':
    main()
