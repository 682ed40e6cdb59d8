"""The image is made from the packages of its lock and no others (guest/image/build.sh).

A folder of tiny packages is the repository. The recipe gets as far as the kernel, which none of them holds: by then it
has taken or refused every package.
"""
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KERNEL = "linux-image-6.1.0-1-cloud-amd64"
HEAD = "# NAME VERSION SHA256 of: linux-image-cloud-amd64 python3 libstdc++6 busybox-static\n"
ALL_TAKEN = "unpacking the kernel"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class Repository:
    """A repository of Debian packages in a folder, read by apt itself, and the recipe with a lock of its own."""

    def __init__(self, folder):
        self.folder, self.packages = folder, {}
        self.cache, self.lock = folder / "cache", folder / "packages.lock"
        for name in ("repository", "state/lists/partial", "apt-cache/archives/partial", "empty", "cache"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{folder}/repository ./\n")
        (folder / "apt.conf").write_text(f"""
            Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/apt-cache";
            Dir::Etc::sourcelist "{folder}/sources.list"; Dir::Etc::sourceparts "{folder}/empty";
            Dir::Etc::preferencesparts "{folder}/empty"; APT::Architecture "amd64"; APT::Architectures "amd64";
            APT::Sandbox::User "root"; Acquire::Languages "none";\n""")
        self.environment = {"PATH": os.environ["PATH"], "APT_CONFIG": str(folder / "apt.conf")}
        self.add(KERNEL, "6.1.1-1")
        self.add("linux-image-cloud-amd64", "6.1.1-1", depends=KERNEL)
        for name in ("python3", "libstdc++6", "busybox-static"):
            self.add(name, "1.0-1")

    def add(self, name, version, depends=""):
        tree = self.folder / "tree" / f"{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody\nDescription: {name}\n"
        control += f"Depends: {depends}\n" if depends else ""
        (tree / "DEBIAN/control").write_text(control)
        deb = self.deb(name, version)
        subprocess.run(["dpkg-deb", "-b", "-Znone", str(tree), str(deb)], check=True, capture_output=True)
        self.packages[name, version] = control + f"Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sha256(deb)}\n"

    def forget(self, name, version):
        del self.packages[name, version]
        self.deb(name, version).unlink()

    def deb(self, name, version):
        return self.folder / "repository" / f"{name}_{version}_amd64.deb"

    def update(self):
        (self.folder / "repository/Packages").write_text("\n".join(self.packages.values()))
        subprocess.run(["apt-get", "update", "-qq"], env=self.environment, check=True)

    def write_lock(self, **changes):
        """What the repository has now, the kernel first; `changes` are other hashes by name."""
        lines = [f"{name} {version} {changes.get(name, sha256(self.deb(name, version)))}\n" for name, version in self.packages
                 if name != "linux-image-cloud-amd64"]
        self.lock.write_text(HEAD + "".join(lines))

    def build(self, *options, **environment):
        done = subprocess.run([ROOT / "guest/image/build.sh", "--agent", "/bin/true", "--out", self.folder / "out", "--cache", self.cache,
                               "--lock", self.lock, *options],
                              env={**self.environment, **environment}, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path)
    made.update()
    made.write_lock()
    return made


def test_what_the_lock_names_is_taken_and_kept(repository):
    assert ALL_TAKEN in repository.build(HEARTH_LOCKED="1")
    kept = {path.name: sha256(path) for path in repository.cache.iterdir()}
    assert len(kept) == 4
    for name, version, digest in (line.split() for line in repository.lock.read_text().splitlines()[1:]):
        assert kept[f"{name}_{version}_amd64.deb"] == digest


def test_a_kept_package_with_one_changed_byte_is_fetched_again_and_never_used(repository):
    repository.build()
    kept = repository.cache / "python3_1.0-1_amd64.deb"
    good = sha256(kept)
    change_a_byte(kept)
    assert ALL_TAKEN in repository.build(HEARTH_LOCKED="1")
    assert sha256(kept) == good

    change_a_byte(kept)  # and with nobody to fetch it from
    repository.forget("python3", "1.0-1")
    repository.update()
    output = repository.build(HEARTH_LOCKED="1")
    assert ALL_TAKEN not in output and "the lock cannot be kept" in output


def test_a_package_that_is_not_what_the_index_says_is_refused(repository):
    change_a_byte(repository.deb("python3", "1.0-1"))
    output = repository.build()
    assert ALL_TAKEN not in output and "cannot download python3=1.0-1" in output


def test_another_hash_for_the_same_version_is_refused(repository):
    repository.write_lock(python3="0" * 64)
    output = repository.build()
    assert ALL_TAKEN not in output and f"the index gives the hash {sha256(repository.deb('python3', '1.0-1'))}, the lock {'0' * 64}" in output
    assert not list(repository.cache.iterdir())


def test_a_newer_version_and_a_new_dependency_are_not_taken_unasked(repository):
    repository.add("python3", "2.0-1", depends="python3-more")
    repository.add("python3-more", "2.0-1")
    repository.update()
    before = repository.lock.read_bytes()
    assert ALL_TAKEN in repository.build()
    assert repository.lock.read_bytes() == before
    assert not [path.name for path in repository.cache.iterdir() if "2.0" in path.name]

    assert ALL_TAKEN in repository.build("--renew-lock")
    assert f"python3 2.0-1 {sha256(repository.deb('python3', '2.0-1'))}\n" in repository.lock.read_text()
    assert "python3-more 2.0-1 " in repository.lock.read_text() and "python3 1.0-1" not in repository.lock.read_text()
    assert ALL_TAKEN in repository.build(HEARTH_LOCKED="1")


def test_a_version_that_nobody_has_any_more_is_told_and_refused_where_the_lock_is_binding(repository):
    repository.add("python3", "2.0-1")
    repository.forget("python3", "1.0-1")
    repository.update()
    before = repository.lock.read_bytes()
    output = repository.build(HEARTH_LOCKED="1")
    assert ALL_TAKEN not in output and "HEARTH_LOCKED=1, and the lock cannot be kept" in output
    output = repository.build()
    assert ALL_TAKEN in output and "python3 1.0-1" in output and "not from the lock" in output
    assert repository.lock.read_bytes() == before


@pytest.mark.parametrize("text", ["", HEAD.replace("busybox-static", "bash"), HEAD + "python3 1.0-1\n", HEAD + "python3 1.0-1 abc\n"],
                         ids=["empty", "of other packages", "no hash", "half a hash"])
def test_what_is_no_lock_of_this_image_is_refused(repository, text):
    repository.lock.write_text(text)
    output = repository.build()
    assert ALL_TAKEN not in output and "error" in output
    assert repository.lock.read_text() == text


def test_a_lock_without_a_wanted_package_is_refused(repository):
    lines = [line for line in repository.lock.read_text().splitlines(keepends=True) if not line.startswith("libstdc++6 ")]
    repository.lock.write_text("".join(lines))
    output = repository.build()
    assert ALL_TAKEN not in output and "libstdc++6 is not in it" in output


def test_a_lock_that_names_a_package_twice_is_refused(repository):
    with repository.lock.open("a") as lock:
        lock.write(f"python3 2.0-1 {'0' * 64}\n")
    output = repository.build()
    assert ALL_TAKEN not in output and "python3 is in it twice" in output


def test_a_lock_whose_first_package_is_no_kernel_is_refused(repository):
    head, kernel, *others = repository.lock.read_text().splitlines(keepends=True)
    repository.lock.write_text("".join([head, *others, kernel]))
    output = repository.build()
    assert ALL_TAKEN not in output and "the first package is not a kernel" in output
