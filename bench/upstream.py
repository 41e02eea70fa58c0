"""The upstream: nginx, with what it sent counted from its access log."""

import collections
import contextlib
import pathlib
import re
import socket
import time
import urllib.request

from children import Child, Failed

CONFIGURATION = """
daemon off;
user root;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx-error.log;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
  log_format sent '$uri $status $body_bytes_sent $bytes_sent';
  access_log {scratch}/nginx-access.log sent;
  client_body_temp_path {scratch}/nginx-body;
  proxy_temp_path {scratch}/nginx-proxy;
  fastcgi_temp_path {scratch}/nginx-fastcgi;
  uwsgi_temp_path {scratch}/nginx-uwsgi;
  scgi_temp_path {scratch}/nginx-scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000000;
  server {{
    listen {address}:{port} backlog=4096;
    root {root};
    autoindex on;
    location = /.status {{ stub_status; access_log off; }}
  }}
}}
"""

Sent = collections.namedtuple("Sent", "requests body bytes")  # bytes: headers included


class Upstream:
    """`with Upstream(images, scratch)`: on loopback; with `host` (a network.RemoteHost): there."""

    def __init__(self, images, scratch, host=None):
        self.images = images
        self.scratch = pathlib.Path(scratch)
        self.host = host
        self.address = host.address if host else "127.0.0.1"
        self.port = 8080 if host else _free_port()
        self._log = self.scratch / "nginx-access.log"
        self._mark = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        configuration = self.scratch / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(
            scratch=self.scratch, address=self.address, port=self.port, root=self.images.root))
        argv = ["nginx", "-e", self.scratch / "nginx-error.log", "-c", configuration]
        if self.host:
            argv = self.host.inside(argv)
        nginx = self._stack.enter_context(Child(argv, self.scratch / "nginx.out"))
        try:
            nginx.wait_until(self._status, "nginx answers")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def url(self, directory="plain", name=""):
        return f"http://{self.address}:{self.port}/{directory}/{name}"

    def mark(self):
        """From here on `sent` counts."""
        self._settle()
        self._mark = self._log.stat().st_size if self._log.exists() else 0

    def sent(self):
        """What went out since the last mark."""
        self._settle()
        requests = body = sent = 0
        with open(self._log) as log:
            log.seek(self._mark)
            for line in log:
                fields = line.rsplit(" ", 2)
                requests += 1
                body += int(fields[1])
                sent += int(fields[2])
        return Sent(requests, body, sent)

    def _status(self):
        url = f"http://{self.address}:{self.port}/.status"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return re.search(r"Reading: (\d+) Writing: (\d+)", answer.read().decode())

    def _settle(self):
        """A request is logged when its answer is out; the one that asks is counted as writing."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            reading, writing = self._status().groups()
            if (int(reading), int(writing)) == (0, 1):
                return
            time.sleep(0.02)
        raise Failed("upstream still sends after a minute")


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

