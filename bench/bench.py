"""What every workload has at hand."""

import contextlib
import pathlib
import shutil
import tempfile

import network
from images import Images
from peers import mounted
from peers.httpdirfs import Httpdirfs
from peers.imgcachefs import Imgcachefs
from peers.nbd import Nbdkit, QemuCurl
from peers.rclone import Rclone
from results import Results
from upstream import Upstream

PEERS = {"rclone": Rclone, "httpdirfs": Httpdirfs, "nbdkit": Nbdkit, "qemu": QemuCurl}


class Bench:
    def __init__(self, options, repository):
        self.runs = options.runs
        self.quick = options.quick
        self.work = options.work.resolve()
        self.programs = options.programs or repository / "build" / "release" / "bin"
        self.tools = options.tools or repository / "build" / "release" / "bench"
        self.images = Images(self.work / "images")
        self.results = Results()
        self._peers = self._chosen_peers(options.peers)

    def size(self, usual, quick):
        """A size, or how many: less of it to try the harness."""
        return quick if self.quick else usual

    def rounds(self, sides):
        """The sides in turn, once a run; every other run backwards, so that none is always first."""
        for number in range(self.runs):
            yield list(sides) if number % 2 == 0 else list(reversed(list(sides)))

    def ours(self, label="imgcachefs", **options):
        return Imgcachefs(self.programs, label, **options)

    def peers(self, workload, keeping=False, many=False):
        """The peers that can do it; who cannot, and who is not wanted, is named in the results."""
        for key, make in PEERS.items():
            peer = make()
            if key not in self._peers:
                self.results.leave_out(workload, peer.name, "not asked for (--peers)")
            elif keeping and not peer.keeps:
                self.results.leave_out(workload, peer.name, "keeps nothing: it is never warm")
            elif many and not peer.many:
                self.results.leave_out(workload, peer.name, "shows one image only")
            else:
                yield peer

    @contextlib.contextmanager
    def scratch(self):
        """A new directory on the file system that is measured; removed in the end."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=self.work))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def upstream(self, host=None):
        with self.scratch() as scratch, Upstream(self.images, scratch, host) as upstream:
            yield upstream

    def remove_left_overs(self):
        """Of a run that was killed. The lock on the work directory says that it is over."""
        for scratch in self.work.glob("run-*"):
            for directory in scratch.rglob("mnt"):
                mounted.take_away(directory)
            shutil.rmtree(scratch, ignore_errors=True)
        network.remove_left_overs()

    @staticmethod
    def _chosen_peers(text):
        if text == "all":
            return set(PEERS)
        names = set() if text == "none" else set(text.split(","))
        if names - set(PEERS):
            raise SystemExit(f"bench: no peer {', '.join(names - set(PEERS))}; there are "
                             f"{', '.join(PEERS)}")
        return names
