"""together.py FOLDER JOBS: looks whether the sources that a build folder compiles together can be. Compiles nothing to a file."""

import concurrent.futures
import json
import pathlib
import shlex
import subprocess
import sys


def look(entry):
    words = [word for word in shlex.split(entry["command"]) if word != "ccache"]
    at = words.index("-o")
    done = subprocess.run([*words[:at], *words[at + 2:], "-fsyntax-only"], cwd=entry["directory"], text=True, capture_output=True)
    return done.returncode, done.stderr


folder, jobs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
entries = [entry for entry in json.loads((folder / "compile_commands.json").read_text()) if "/Unity/" in entry["file"]]
print(f"   {len(entries)} targets, {jobs} at a time", file=sys.stderr)
with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    wrong = [text for code, text in pool.map(look, entries) if code != 0]
for text in wrong:
    print("\n".join(line for line in text.splitlines() if "error:" in line), file=sys.stderr)
sys.exit(1 if wrong or not entries else 0)
