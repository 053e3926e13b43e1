# SPDX-License-Identifier: MIT
"""A NATS of a test's own, with streams that it keeps when it is killed and started again. The scripts in bash have theirs in
nats.sh.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import gateway
import nats
import ports

PROGRAM = shutil.which("nats-server", path=os.environ["PATH"] + ":/usr/sbin")


class NatsServer:
    """At .url, from the beginning on; it has the same port when it is started again. `settings` are more lines of its
    configuration.
    """

    def __init__(self, settings=""):
        self.settings = settings
        if PROGRAM is None:
            gateway.skip("no nats-server")
        self.folder = tempfile.mkdtemp(dir=gateway.scratch)
        self.kept = ports.keep()
        self.port = self.kept.getsockname()[1]
        self.start()

    def start(self):
        config = os.path.join(self.folder, "nats.conf")
        with open(config, "w") as file:
            file.write(f'host: 127.0.0.1\nport: {self.port}\nports_file_dir: "{self.folder}"\n'
                       f'jetstream {{ store_dir: "{self.folder}/jetstream" }}\n{self.settings}\n')
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = gateway.start_process([PROGRAM, "-c", config], stderr=log)
        listens = os.path.join(self.folder, f"nats-server_{self.process.pid}.ports")
        found = gateway.until("NATS is there", lambda: os.path.exists(listens) and re.search(
            r"nats://127.0.0.1:\d+", open(listens).read()))
        self.url = found.group(0)

    def stall(self):
        """It takes what it is sent as far as the kernel does, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        gateway.until("all of its threads stand still", self.is_stalled)

    def is_stalled(self):
        tasks = f"/proc/{self.process.pid}/task"
        return all(open(f"{tasks}/{task}/stat").read().rsplit(") ", 1)[1][0] == "T" for task in os.listdir(tasks))

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def connect(self):
        return nats.Nats(self.url)

    def make_stream(self, name, *subjects, **settings):
        nats.make_stream(self.connect(), name, subjects[0], json.dumps(dict(settings, subjects=subjects)))

    def purge_below(self, stream, number):
        answer = json.loads(self.connect().request(f"$JS.API.STREAM.PURGE.{stream}", b'{"seq": %d}' % number))
        gateway.expect(answer.get("success"), answer)

    def messages(self, stream):
        """{number: data} of all that it has."""
        return dict(nats.messages(self.connect(), stream))
