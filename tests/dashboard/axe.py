# SPDX-License-Identifier: MIT
"""axe-core, which looks for what keeps people with disabilities from using a page. Debian doesn't have it: npm fetches one
version, once, into the build folder, and it has to be the one that is known here."""
import glob
import hashlib
import os
import shutil
import subprocess
import tarfile

VERSION = "4.10.3"
SHA512 = ("5e6edba515e70d25f6604d9815f064d859c5d1ea7ab661bbc4f87c88779ef0c2"
          "1cae0abbeb636471ef39e9d62d2582e4b88a1866f19f4ecfcf6d986275e4dc12")

CHECK = """
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html).join(' | ')}`);
"""


def source(folder):
    """(its source, None), or (None, why there is none)."""
    package = os.path.join(folder, f"axe-core-{VERSION}.tgz")
    if not os.path.exists(package):
        if shutil.which("npm") is None:
            return None, "there is no npm to fetch axe-core with"
        for _ in glob.glob(os.path.join(folder, "axe-core-*.tgz")):
            os.remove(_)
        done = subprocess.run(["npm", "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", folder],
                              capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            return None, f"npm can't fetch axe-core: {done.stderr.strip()[-200:]}"
    with open(package, "rb") as file:
        if hashlib.sha512(file.read()).hexdigest() != SHA512:
            os.remove(package)
            raise AssertionError("what npm fetched is not the axe-core that is known here")
    with tarfile.open(package) as archive:
        return archive.extractfile("package/axe.min.js").read().decode(), None
