# SPDX-License-Identifier: MIT
"""A NATS of a test's own, with JetStream: on a port that is free, its streams in the scratch folder. It ends with the test."""
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import gateway
from nats import Nats, make_stream

PROGRAM = shutil.which("nats-server", path=os.environ["PATH"] + ":/usr/sbin")
_libc = ctypes.CDLL(None)


class NatsServer:
    def __init__(self):
        if PROGRAM is None:
            gateway.skip("no nats-server")
        self.folder = tempfile.mkdtemp(dir=gateway.scratch)
        self.port = -1
        self.start()

    def start(self):
        """Started again it has the port and the streams that it had."""
        for path in glob.glob(f"{self.folder}/*.ports"):
            os.unlink(path)
        config = f"{self.folder}/nats.conf"
        with open(config, "w") as file:
            file.write(f'host: 127.0.0.1\nport: {self.port}\nports_file_dir: "{self.folder}"\n'
                       f'jetstream {{ store_dir: "{self.folder}" }}\n')
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-c", config], stderr=log,
                preexec_fn=lambda: _libc.prctl(gateway.PR_SET_PDEATHSIG, signal.SIGKILL))
        self.url = gateway.until("NATS has a port", self._find_url)
        self.port = int(self.url.rsplit(":", 1)[1])

    def _find_url(self):
        for path in glob.glob(f"{self.folder}/*.ports"):
            with open(path) as file:
                found = re.search(r"nats://127\.0\.0\.1:\d+", file.read())
            if found:
                return found.group()
        return None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def make_stream(self, name, *subjects, **settings):
        make_stream(self.connect(), name, subjects[0], json.dumps(dict(settings, subjects=subjects)))

    def purge_below(self, name, sequence):
        answer = json.loads(self.connect().request(f"$JS.API.STREAM.PURGE.{name}", b'{"seq": %d}' % sequence))
        gateway.expect(answer.get("success"), answer)

    def connect(self):
        return Nats(self.url)
