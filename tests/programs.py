"""A program that stands for chemprop: it is called as chemprop is, and leaves the same files."""

import sys
from pathlib import Path

# What it predicts is no secret: the mean of the training part, and a little for each letter.
FAKE = """#!{python}
import csv, json, pathlib, sys

def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))

def after(flag):
    return sys.argv[sys.argv.index(flag) + 1]

def targets():
    names = sys.argv[sys.argv.index("--target-columns") + 1 :]
    return [name for name in names if name.startswith("target_")]

if sys.argv[1] == "--version":
    print("chemprop 9.9.9")
    sys.exit()
with open("called.jsonl", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if "--fail" in sys.argv:
    print("Traceback\\nValueError: as it was told")
    sys.exit(3)
models = pathlib.Path("models")
if sys.argv[1] == "train":
    table, (split,) = read(after("-i")), json.load(open(after("--splits-file")))
    means = {{}}
    for name in targets():
        known = [float(table[i][name]) for i in split["train"] if table[i][name]]
        means[name] = sum(known) / len(known)
    (models / "model_0").mkdir(parents=True)
    classifies = after("-t") == "classification"
    (models / "model_0" / "best.pt").write_text(json.dumps([classifies, means]))
else:
    classifies, means = json.loads((models / "model_0" / "best.pt").read_text())
    rows = read(after("-i"))
    for row in rows:
        for name, mean in means.items():
            size = len(row["smiles"]) % 7
            row[name] = (size + 1) / 9 if classifies else mean + size / 10
    with open(after("-o"), "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
"""


def fake_chemprop(folder: Path) -> Path:
    """The program, in a folder."""
    path = folder / "chemprop"
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(0o755)
    return path
