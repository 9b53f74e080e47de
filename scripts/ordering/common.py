"""What the scripts of the experiment share: the training images, tables with one line a run, and the program."""

import csv
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys


def first_files(cifar10, work):
    """The training images: the first 1,000 files of each class, copied into a folder of their own."""
    subset = work / "cifar10-first-1000"
    for folder in sorted((cifar10 / "train").iterdir()):
        (subset / folder.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.iterdir())[:1000]:
            copy = subset / folder.name / file.name
            if not copy.exists():
                shutil.copyfile(file, copy)
    return subset


class claimed:
    """Holds a lock on a run. Gives False if its line is in the table or another process works on it.

    A line is of a run if it has the run's values in the columns `keys`.
    """

    def __init__(self, work, table, keys):
        work.mkdir(parents=True, exist_ok=True)
        self.table, self.keys = table, {column: str(value) for column, value in keys.items()}
        self.file = open(work / f"{'-'.join(self.keys.values())}.lock", "w")

    def __enter__(self):
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return not any(self.keys.items() <= line.items() for line in lines(self.table))

    def __exit__(self, *_):
        self.file.close()


def numbers(text):
    """Those of an argument such as 101,102."""
    return [int(number) for number in text.split(",")]


def lines(table):
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def append(table, columns, lines):
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("a", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.DictWriter(file, columns)
        if os.fstat(file.fileno()).st_size == 0:
            writer.writeheader()
        writer.writerows(lines)


def metrics(run):
    """The records of metrics.jsonl."""
    return [json.loads(text) for text in (run / "metrics.jsonl").open()]


def minutes(run):
    """Minutes from the start of a run to its end."""
    ends = [(run / name).stat().st_mtime for name in ("config.toml", "metrics.jsonl")]
    return round((ends[1] - ends[0]) / 60, 1)


def events(program, *command):
    """The records that a command prints with --json."""
    ended = subprocess.run([program, *command, "--json", "--quiet"], stdout=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` ended with code {ended.returncode}")
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


def processor():
    try:
        names = [line for line in open("/proc/cpuinfo") if line.startswith("model name")]
        return names[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def version(program):
    return subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
