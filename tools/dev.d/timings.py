"""The table of `tools/dev demo --timings`: timings.py BEGAN REPLY < steps, all times in µs since the epoch.

A step is a line: download or work, from, to, title.
"""
import sys

OVERLAP_US = 500_000   # steps that touch for less than this did not run beside each other


def beside(step, steps):
    """The titles of the steps that ran while this one did."""
    return [other[3] for other in steps if other is not step and min(step[2], other[2]) - max(step[1], other[1]) >= OVERLAP_US]


def only_downloads(steps, end):
    """How long nothing but downloads ran, in µs."""
    marks = sorted({min(time, end) for step in steps for time in step[1:3]})
    total = 0
    for begin, until in zip(marks, marks[1:]):
        kinds = {step[0] for step in steps if step[1] <= begin and step[2] >= until}
        if kinds == {"download"}:
            total += until - begin
    return total


def table(steps, began, reply):
    lines = [f"   {'step':32} {'from':>7} {'to':>7} {'seconds':>8}  beside"]
    for step in steps:
        kind, begin, end, title = step
        lines.append(f"   {title:32} {(begin - began) / 1e6:7.1f} {(end - began) / 1e6:7.1f} {(end - begin) / 1e6:8.1f}  "
                     + ("; ".join(beside(step, steps)) or "-"))
    apart = only_downloads(steps, reply)
    lines.append(f"   the first reply came after {(reply - began) / 1e6:.1f} s; for {apart / 1e6:.1f} s of it nothing but downloads went on: "
                 f"{(reply - began - apart) / 1e6:.1f} s without them")
    return lines


if __name__ == "__main__":
    read = [line.rstrip("\n").split("\t") for line in sys.stdin]
    print(*table([(kind, int(begin), int(end), title) for kind, begin, end, title in read], int(sys.argv[1]), int(sys.argv[2])), sep="\n")
