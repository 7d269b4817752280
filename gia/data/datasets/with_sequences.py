"""Molecules beside a sequence, such as a ligand and its protein, as one graph."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch_geometric.data import Data

from gia.data.components import join_components
from gia.data.items import Items, Rejected
from gia.data.tokenizer import Tokenizer

ATOM = "<atom>"  # the symbol of a node that is no residue


def with_sequences(
    molecules: Items, sequences: Items, tokenizer: Tokenizer, columns: dict[str, str]
) -> Items:
    """Molecules with the sequence of their row as the last part.

    All nodes have the attributes of both: a residue is an atom of no kind, an atom has the symbol
    :data:`ATOM` and the place 0; neighbours along the sequence are joined by bonds of no kind.

    Args:
        molecules: of some of n rows.
        sequences: of some of the same rows.
        tokenizer: of the sequences, which knows :data:`ATOM`.
        columns: of the parts in their order, with the kind of each, the sequence last.
    """
    chains = {data.row: data for data in sequences.graphs}
    last = list(columns)[-1]
    reasons: dict[int, list[str]] = {}
    for entry in molecules.rejected:
        reasons.setdefault(entry.row, []).append(entry.reason)
    for entry in sequences.rejected:
        reasons.setdefault(entry.row, []).append(f"{last!r}: {entry.reason}")
    names = {entry.row: entry.name for entry in (*molecules.rejected, *sequences.rejected)}
    graphs, cells = [], []
    for data, raw in zip(molecules.graphs, molecules.cells, strict=True):
        if data.row in chains:
            graphs.append(_joined(data, chains[data.row], tokenizer.token_id(ATOM)))
            cells.append(raw)
    return replace(
        molecules,
        graphs=graphs,
        cells=cells,
        rejected=[Rejected(row, names[row], "; ".join(reasons[row])) for row in sorted(reasons)],
        components=columns,
        unknown=sequences.unknown,
        first_unknown=sequences.first_unknown,
        letters=sequences.letters,
        notes=[*molecules.notes, *sequences.notes],
    )


def _joined(molecule: Data, sequence: Data, atom: int) -> Data:
    size, length = molecule.num_nodes, sequence.num_nodes
    bonds = sequence.edge_index.size(1)
    of_molecule = molecule.clone()
    of_molecule.token = torch.full((size,), atom)
    of_molecule.seq_pos = torch.zeros(size, dtype=torch.long)
    del of_molecule.name, of_molecule.row
    of_sequence = Data(
        x=molecule.x.new_zeros(length, molecule.x.size(1)),
        edge_index=sequence.edge_index,
        edge_attr=molecule.edge_attr.new_zeros(bonds, molecule.edge_attr.size(1)),
        token=sequence.token,
        seq_pos=sequence.seq_pos,
        text=sequence.text,
    )
    joined = join_components([of_molecule, of_sequence])
    joined.name, joined.row, joined.cut = molecule.name, molecule.row, sequence.cut
    return joined
