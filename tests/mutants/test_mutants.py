"""Takes one guard away at a time and wants the tests to notice, in a real machine where the guard is in the guest.

Each mutant is compiled beside the build in build/release, which stays as it is, and gets an image of its own: the built one
with another agent or another zygote. The same harness without an edit must pass the same tests.
"""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mutants import MUTANTS, ZYGOTE

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
IMAGE = Path(os.environ.get("HEARTH_IMAGE", ROOT / "build" / "image"))
AGENT = "hearth-agent"
RUN_SECONDS = 600
FELL = "closed the link"  # what tools/machine says of a machine that ended


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def commands():
    """How build/release compiles each source."""
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {entry["file"]: entry["command"] for entry in entries}


def edit(mutant, shadow):
    """The mutated file under `shadow`, at its own path."""
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1, f"{mutant.name}: what it removes is in {mutant.file} {text.count(mutant.old)} times; mend the mutant"
    target = shadow / mutant.file
    target.parent.mkdir(parents=True)
    target.write_text(text.replace(mutant.old, mutant.new))


def compile_sources(sources, shadow, commands):
    """Objects of the sources, those under `shadow` in the place of the tree's."""
    objects = {}
    for source in sources:
        original, mutated = ROOT / source, shadow / source
        command = commands[str(original)].replace(f"-I{ROOT} ", f"-I{shadow} -I{ROOT} ")
        made = shadow / (source.replace("/", "_") + ".o")
        if mutated.exists():
            command = command.replace(f"-c {original}", f"-c {mutated}")
        command, count = re.subn(r" -o (\S+)", f" -o {made}", command)
        assert count == 1, command
        run(command, shell=True, cwd=BUILD)
        objects[source] = made
    return objects


def link(program, objects, target):
    """The program with these objects before its own libraries, which then are not asked for theirs."""
    command = run(["ninja", "-t", "commands", f"bin/{program}"], cwd=BUILD).strip().splitlines()[-1]
    for source, made in objects.items():
        own = re.search(r"\S*/" + re.escape(f"{program}.dir") + r"/\S*" + re.escape(Path(source).name) + r"\.o", command)
        command = command.replace(own.group(0), str(made)) if own else command.replace(f" -o bin/{program}", f" {made} -o bin/{program}")
    command, count = re.subn(f" -o bin/{re.escape(program)}", f" -o {target}", command)
    assert count == 1, command
    run(command, shell=True, cwd=BUILD)


def image_with(folder, agent=None, zygote=None):
    """The built image with another agent or zygote."""
    folder.mkdir()
    for name in ("manifest.json", "vmlinux", "initramfs.cpio", "root.squashfs"):
        (folder / name).symlink_to(IMAGE / name)
    if agent:
        tree = folder / "initramfs"
        tree.mkdir()
        run(f"cpio -idm --quiet < {IMAGE}/initramfs.cpio", shell=True, cwd=tree)
        run(["strip", "-s", "-o", str(tree / "init"), str(agent)])
        (folder / "initramfs.cpio").unlink()
        run("find . -print0 | sort -z | cpio --null --create --format=newc --owner=+0:+0 --quiet > ../initramfs.cpio", shell=True, cwd=tree)
    if zygote:
        tree = folder / "root"
        run(["unsquashfs", "-q", "-n", "-d", str(tree), str(IMAGE / "root.squashfs")])
        place = tree / "usr/lib/hearth/python3/zygote.py"
        assert place.exists()
        shutil.copyfile(zygote, place)
        (folder / "root.squashfs").unlink()
        run(["mksquashfs", str(tree), str(folder / "root.squashfs"), "-noappend", "-comp", "lz4", "-all-root", "-no-progress", "-quiet"])
        shutil.rmtree(tree)
    return folder


def outcomes(binary, image, tests, folder):
    """Test → the text of its failures, empty where it passed."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    done = subprocess.run([str(binary), f"--gtest_filter={':'.join(tests)}", f"--gtest_output=json:{report}"], capture_output=True, text=True,
                          timeout=RUN_SECONDS, env={**os.environ, "HEARTH_IMAGE": str(image)})
    assert report.exists(), f"the tests did not end as tests do\n{done.stdout}\n{done.stderr}"
    ran = {f"{suite['name']}.{test['name']}": test for suite in json.loads(report.read_text())["testsuites"] for test in suite["testsuite"]}
    skipped = [name for name, test in ran.items() if test["result"] != "COMPLETED"]
    assert not skipped, f"the machine does not start, so nothing was tried: {skipped}\n{done.stdout}"
    return {name: "\n".join(failure["failure"] for failure in test.get("failures", [])) for name, test in ran.items()}


def check(sources, zygote, program, tests, folder, commands, shadow):
    objects = compile_sources(sources, shadow, commands)
    binary, image = BUILD / "bin" / program, IMAGE
    if zygote:
        image = image_with(folder / "image", zygote=zygote)
    elif program == "guest_integration_test":
        link(AGENT, objects, folder / "agent")
        image = image_with(folder / "image", agent=folder / "agent")
    else:
        binary = folder / program
        link(program, objects, binary)
    return outcomes(binary, image, tests, folder)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.goal}-{mutant.name}")
def test_a_missing_guard_is_noticed(mutant, tmp_path, commands):
    shadow = tmp_path / "shadow"
    edit(mutant, shadow)
    zygote = shadow / ZYGOTE if mutant.file == ZYGOTE else None
    sources = () if zygote else mutant.rebuild or (mutant.file,)
    got = check(sources, zygote, mutant.program, mutant.notice, tmp_path, commands, shadow)
    assert set(got) == set(mutant.notice), "a test of that name does not exist"
    for test, failure in got.items():
        assert failure, f"{test} did not notice"
        assert mutant.may_fell or FELL not in failure, f"{test}: the machine fell, which is not what the test looks for\n{failure}"


def test_the_harness_alone_changes_nothing(tmp_path, commands):
    """The agent linked and packed as mutants are, without an edit."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    tests = sorted({test for mutant in MUTANTS if mutant.program == "guest_integration_test" for test in mutant.notice if test.startswith("BoundaryTest")})
    sources = ("guest/agent/sandbox.cc", "guest/agent/container.cc", "guest/agent/code_cache.cc", "guest/agent/seccomp.cc")
    got = check(sources, None, "guest_integration_test", tests, tmp_path, commands, shadow)
    assert got == {test: "" for test in tests}
