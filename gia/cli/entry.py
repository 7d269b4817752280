"""``gia COMMAND``: from a name to its command."""

import sys

from gia.cli import commands
from gia.cli.agreement import agreement
from gia.cli.check import check
from gia.cli.command import started_as
from gia.cli.info import info
from gia.cli.inspect import inspect
from gia.cli.matbench import matbench
from gia.cli.score import score
from gia.cli.search import search

HELP = """\
gia: graph-aware transformers

  gia train       train a model                    gia train experiment=protein_fold
  gia evaluate    measure a trained one            gia evaluate ckpt_path=runs/.../best.ckpt
  gia predict     predict a table with it          gia predict ckpt_path=... data.path=new.csv
  gia embed       write its vectors to a file      gia embed ckpt_path=... out=vectors.npz
  gia score       score variants with it           gia score ckpt_path=... sequence=GLFDII out=s.csv
  gia inspect     look at its attention graphs     gia inspect ckpt_path=... input=GLFDIIKKI
  gia agreement   find bonds in its attention      gia agreement ckpt_path=... out=bonds.csv
  gia check       look for leaks in a model        gia check data=esol model=gps
  gia generate    write sequences with it          gia generate ckpt_path=runs/.../best.ckpt
  gia search      find better settings             gia search data=esol trials=20
  gia duel        compare models fairly            gia duel plan=graphs
  gia matbench    record Matbench's five folds     gia matbench runs=... out=record.json
  gia info        versions, devices and caches     gia info

Settings are given as key=value, or in a file as @FILE; gia COMMAND --help lists them all.
"""


def main() -> None:
    """Entry point of the command ``gia``."""
    known = {
        "train": commands.train,
        "evaluate": commands.evaluate,
        "predict": commands.predict,
        "embed": commands.embed,
        "score": score,
        "inspect": inspect,
        "agreement": agreement,
        "check": check,
        "generate": commands.generate,
        "search": search,
        "duel": duel,
        "matbench": matbench,
        "info": info,
    }
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "help"):
        print(HELP)
        return
    if name in ("-V", "--version"):
        from gia import __version__

        print(f"gia {__version__}")
        return
    if name not in known:
        sys.exit(f"gia: no command {name!r}\n\n{HELP}")
    started_as(sys.argv)
    sys.argv = [f"gia {name}", *sys.argv[2:]]
    known[name]()


def duel() -> None:
    """Compare models on equal terms."""
    from gia.cli.command import run_app
    from gia_duel.command import duel

    run_app(duel, "duel")
