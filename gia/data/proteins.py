"""Proteins with structure: the residues of a chain as a graph of contacts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.optional import require
from gia.data.radial import gaussians
from gia.data.tokenizer import Tokenizer

# Angstrom between the CA of residues that are bonded: 3.8, or 2.9 in a cis peptide; with one
# between them they are at 5 or more.
BONDED = 4.5
CLOSEST = 0.5  # Angstrom: no two residues are nearer
ANY = "X"  # the letter of a residue that stands for no amino acid
MMCIF = re.compile(r"^data_", re.MULTILINE | re.IGNORECASE)
OLD = 72  # columns of a line that mean the same in all versions of the PDB format


@dataclass(frozen=True)
class ContactEdges:
    """Which residues of a chain are joined, and how a distance is written.

    Attributes:
        cutoff: the farthest that residues in contact may be apart, in Angstrom.
        num_radial: Gaussians of the distance, see :func:`gia.data.radial.gaussians`.

    Raises:
        ValueError: if one is out of range.
    """

    cutoff: float = 8.0
    num_radial: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.cutoff < np.inf:
            raise ValueError(f"data.cutoff must be a positive distance, got {self.cutoff}")
        if not isinstance(self.num_radial, int) or self.num_radial < 2:
            raise ValueError(
                f"data.num_radial must be a whole number of at least 2, got {self.num_radial}"
            )

    def __call__(self, pos: Tensor, seq_pos: Tensor) -> tuple[Tensor, Tensor]:
        """``edge_index`` and ``edge_attr`` of residues, see :func:`chain_graph`.

        Raises:
            ValueError: if two residues overlap.
        """
        from scipy.spatial import cKDTree

        near = cKDTree(pos.numpy()).query_pairs(self.cutoff, output_type="ndarray").reshape(-1, 2)
        following = np.flatnonzero(np.diff(seq_pos.numpy()) == 1)
        # Each pair once, ordered by source and target, be it both in contact and in sequence.
        size = len(pos)
        keys = np.concatenate([near.min(1) * size + near.max(1), following * size + following + 1])
        pairs = torch.from_numpy(np.stack(np.divmod(np.unique(keys), size)))
        edge_index = torch.cat([pairs, pairs.flip(0)], 1)
        source, target = edge_index
        distance = (pos[source] - pos[target]).norm(dim=1)
        if len(distance) and distance.min() < CLOSEST:
            one, other = edge_index[:, distance.argmin()].tolist()
            raise ValueError(
                f"residues {one} and {other}, counted from 0, are {distance.min():.2f} Angstrom "
                "apart: their coordinates cannot be right"
            )
        beside = (seq_pos[source] - seq_pos[target]).abs() == 1
        radial = gaussians(distance, self.cutoff, self.num_radial)
        return edge_index, torch.cat([radial, beside.unsqueeze(1)], 1)


@dataclass
class Chain:
    """A chain of amino acids that was read.

    Attributes:
        name: the chain's, in mmCIF that of the authors.
        letters: one for each residue that has coordinates.
        seq_pos: the place of each in the sequence, ``[N]``, from 0 at the first; residues without
            coordinates are counted.
        pos: of the CB, or of the CA where there is none as in glycine, ``[N, 3]``, in Angstrom.
        b_factor: of the CA, ``[N]``.
        counts: how often something is to be told, by what it is.
    """

    name: str
    letters: str
    seq_pos: np.ndarray
    pos: np.ndarray
    b_factor: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)


def read_chains(data: bytes) -> list[Chain]:
    """The chains of amino acids of a structure's first model.

    Of atoms in several places, and of several residues in one, the likeliest is taken; a modified
    residue has the letter of the one that it is made of.

    Args:
        data: PDB or mmCIF, not compressed.

    Raises:
        ImportError: if gemmi or Biopython is not installed.
        ValueError: if it is no structure or holds no such chain, with the reason.
    """
    structure = _read(data)
    if not len(structure) or not len(structure[0]):
        raise ValueError("the file holds no atom: structures are PDB or mmCIF")
    structure.setup_entities()
    structure.assign_label_seq_id()  # by the whole sequence, where the file has it
    chains, traceless, others = [], [], []
    for part in structure[0]:
        polymer = part.get_polymer()
        chain = _chain(part.name, polymer)
        if len(chain.letters):
            chains.append(chain)
        else:
            acids = any(residue.get_ca() is None and _is_acid(residue) for residue in polymer)
            (traceless if acids else others).append(part.name)
    if not chains:
        why = f"chain {traceless[0]} has no CA atom" if traceless else "it holds no amino acid"
        raise ValueError(f"there is no chain to read: {why}")
    chains[0].counts |= {"other chains": len(others), "chains without CA": len(traceless)}
    for chain in chains:
        chain.counts["several models"] = int(len(structure) > 1)
    return chains


def chain_graph(
    chain: Data | Chain, edges: ContactEdges, tokenizer: Tokenizer, length: int
) -> Data:
    """A chain as a graph: residues in contact, and those that follow each other, are joined.

    Args:
        chain: see :func:`read_chains`.
        edges: which residues are joined.
        tokenizer: of the letters.
        length: the most residues; what is cut is counted.

    Raises:
        ValueError: if two residues overlap.

    Shapes:
        token: [N]
        seq_pos: [N]; residues without coordinates are counted
        pos: [N, 3], of CB (CA of glycine), in Angstrom
        edge_index: [2, E], each pair in both directions
        edge_attr: [E, num_radial + 1], Gaussians of the distance, and 1 for residues that follow
            each other in the sequence
    """
    token = tokenizer.encode(chain.letters)
    kept = token[:length]
    pos = torch.as_tensor(chain.pos)[:length]
    seq_pos = torch.as_tensor(chain.seq_pos)[:length]
    edge_index, edge_attr = edges(pos, seq_pos)
    return Data(
        token=kept,
        seq_pos=seq_pos,
        pos=pos,
        edge_index=edge_index,
        edge_attr=edge_attr,
        num_nodes=len(kept),
        text=tokenizer.decode(kept, specials=False),
        cut=len(token) - len(kept),
    )


def contacts(data: Data, min_separation: int = 6) -> Tensor:
    """The pairs of residues of a chain that are in contact, ``[2, P]``, each once, the first before
    the second in the sequence.

    Args:
        data: of :func:`chain_graph`.
        min_separation: how far apart in the sequence they are at least, by ``seq_pos``; at least 2,
            as those that follow each other are joined at any distance.

    Raises:
        ValueError: if ``min_separation`` is below 2.
    """
    if min_separation < 2:
        raise ValueError(f"min_separation must be at least 2, got {min_separation}")
    source, target = data.edge_index
    far = data.seq_pos[target] - data.seq_pos[source] >= min_separation
    return data.edge_index[:, far]


def require_gemmi() -> Any:
    """The module gemmi.

    Raises:
        ImportError: if it is not installed, saying how to.
    """
    return require("gemmi", "reading PDB and mmCIF takes gemmi", "bio")


def _read(data: bytes) -> Any:
    """The ``gemmi.Structure`` of a file's content."""
    gemmi = require_gemmi()
    text = data.decode("latin-1")  # as remarks may be anything
    try:
        try:
            return gemmi.read_structure_string(text)
        except RuntimeError:  # before 1996 lines ended in the entry's name and a number
            if MMCIF.search(text):
                raise
            structure = gemmi.read_pdb_string(text, max_line_length=OLD)
            structure.merge_chain_parts()  # as the other way of reading does
            return structure
    except Exception as error:  # gemmi's parsers raise several kinds
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"the file cannot be read as PDB or mmCIF: {said[0][:120]}") from error


def _chain(name: str, polymer: Any) -> Chain:
    """The residues of a polymer that have a CA."""
    letters_of, counts = _tables().protein_letters_3to1_extended, Counter()
    residues, alphas = [], []
    for residue in polymer:
        alpha = _likeliest(residue, "CA")
        if alpha is None:
            counts["residues without CA"] += _is_acid(residue)
        elif residues and residue.seqid == residues[-1].seqid and alpha.has_altloc():
            if alpha.occ > alphas[-1].occ:  # two kinds in one place
                residues[-1], alphas[-1] = residue, alpha
        else:
            residues.append(residue)
            alphas.append(alpha)
    betas = [_likeliest(residue, "CB") for residue in residues]
    letters = "".join(letters_of.get(residue.name, ANY) for residue in residues)
    pairs = zip(betas, alphas, strict=True)
    trace = np.array([alpha.pos.tolist() for alpha in alphas], np.float32).reshape(-1, 3)
    seq_pos = _places(residues, trace)
    standard = _tables().protein_letters_3to1
    for residue, letter, beta in zip(residues, letters, betas, strict=True):
        counts["residues without CB"] += beta is None and letter != "G"
        if letter != ANY and residue.name not in standard:
            counts[f"modified {residue.name}"] += 1
    counts["missing residues"] = int(seq_pos[-1]) + 1 - len(seq_pos) if len(seq_pos) else 0
    return Chain(
        name=name,
        letters=letters,
        seq_pos=seq_pos,
        pos=np.array([(b or a).pos.tolist() for b, a in pairs], np.float32).reshape(-1, 3),
        b_factor=np.array([alpha.b_iso for alpha in alphas], np.float32),
        counts=dict(+counts),
    )


def _places(residues: Sequence[Any], trace: np.ndarray) -> np.ndarray:
    """The place of each residue in the sequence, from 0 at the first.

    By the whole sequence where the file has it. Else what is bonded follows, whatever its number,
    as numbers skip and have letters behind them in some numberings; at a break they tell how many
    are missing, one at least.
    """
    labels = [residue.label_seq for residue in residues]
    if None not in labels:
        places = np.array(labels, np.int64)
        if (np.diff(places) > 0).all():
            return places - places[:1]
    numbers = np.diff([residue.seqid.num for residue in residues])
    apart = np.linalg.norm(np.diff(trace, axis=0), axis=1)
    steps = np.where(apart < BONDED, 1, np.maximum(numbers, 2))
    return np.concatenate([np.zeros(min(1, len(residues))), steps.cumsum()]).astype(np.int64)


def _likeliest(residue: Any, name: str) -> Any:
    """The atom of this name with the largest occupancy and finite coordinates; None without any."""
    if name not in residue:
        return None
    # CA may be calcium as well.
    carbons = [atom for atom in residue[name] if atom.element.name == "C" and _is_finite(atom.pos)]
    return max(carbons, key=lambda atom: atom.occ, default=None)


def _is_finite(pos: Any) -> bool:
    return math.isfinite(pos.x + pos.y + pos.z)


def _is_acid(residue: Any) -> bool:
    return residue.name in _tables().protein_letters_3to1_extended


def _tables() -> Any:
    """Biopython's tables of residues: the letters of the twenty amino acids, and those of all that
    the PDB's dictionary of components derives from one."""
    return require("Bio.Data.PDBData", "reading structures takes Biopython", "bio")
