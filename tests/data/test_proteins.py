"""Chains of proteins as graphs of contacts."""

import numpy as np
import pytest
import torch

pytest.importorskip("gemmi", reason="gemmi is not installed")

import gemmi
from proteins import HAIRPIN, SEQUENCE, atom_of, mmcif, pdb, protein, residue_of

from gia.data import CharTokenizer
from gia.data.proteins import ContactEdges, chain_graph, contacts, read_chains
from gia.data.tokenizer import AMINO_ACIDS

TOKENIZER = CharTokenizer(AMINO_ACIDS, uppercase=True)


def graph_of(structure, written=pdb, length=1024, **options):
    (chain,) = read_chains(written(structure))
    return chain_graph(chain, ContactEdges(**options), TOKENIZER, length)


def dna():
    structure = protein([("DA", (0, 0, 0)), ("DC", (6, 0, 0))])
    for residue in structure[0]["A"]:
        residue[0].name, residue[0].element = "P", gemmi.Element("P")
    return structure


def chain_without_alpha():
    structure = protein()
    for residue in structure[0]["A"]:
        residue.remove_atom("CA", "\0", gemmi.Element("C"))
    return structure


@pytest.mark.parametrize("written", [pdb, mmcif])
def test_a_chain(written):
    """Real residues of ubiquitin: letters, CB (CA of glycine), and all that is near or beside."""
    graph = graph_of(protein(), written)
    assert graph.text == SEQUENCE
    assert TOKENIZER.decode(graph.token) == SEQUENCE
    assert graph.seq_pos.tolist() == list(range(20))
    expected = torch.tensor([residue[-1] for residue in HAIRPIN])
    assert torch.allclose(graph.pos, expected, atol=1e-3)
    distance = torch.cdist(graph.pos, graph.pos)
    apart = (graph.seq_pos[:, None] - graph.seq_pos).abs()
    joined = ((distance <= 8) | (apart == 1)) & (apart > 0)
    found = torch.zeros(20, 20).index_put_(tuple(graph.edge_index), torch.tensor(1.0), True)
    assert (found == joined.float()).all()  # each pair once in each direction
    source, target = graph.edge_index
    assert graph.edge_attr.shape == (joined.sum(), 17)
    assert (graph.edge_attr[:, -1] == (apart[source, target] == 1)).all()
    centers = torch.linspace(0, 8, 16)
    nearest = (distance[source, target][:, None] - centers).abs().argmin(1)
    assert (graph.edge_attr[:, :-1].argmax(1) == nearest).all()


def test_contacts():
    """Both strands of the hairpin are in contact; no pair is told twice."""
    graph = graph_of(protein())
    distance = torch.cdist(graph.pos, graph.pos)
    for separation in (2, 6):
        near = (distance <= 8).triu(separation).nonzero()
        assert near.tolist() == contacts(graph, separation).T.tolist()
    assert contacts(graph).tolist() == contacts(graph, 6).tolist()
    assert [2, 14] in contacts(graph).T.tolist()  # I3 faces L15
    with pytest.raises(ValueError, match="min_separation must be at least 2, got 1"):
        contacts(graph, 1)


def test_a_larger_cutoff_has_more_contacts():
    numbers = [contacts(graph_of(protein(), cutoff=cutoff), 2).size(1) for cutoff in (5, 8, 100)]
    assert numbers[0] < numbers[1] < numbers[2] == 19 * 18 / 2
    assert graph_of(protein(), num_radial=4).edge_attr.size(1) == 5


def test_a_moved_protein_is_the_same():
    structure = protein()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    structure[0].transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(turn), gemmi.Vec3(5, 6, 7)))
    one, other = graph_of(protein()), graph_of(structure)
    assert not torch.allclose(one.pos, other.pos, atol=1)
    assert torch.equal(one.edge_index, other.edge_index)
    assert torch.allclose(one.edge_attr, other.edge_attr, atol=1e-2)  # of three decimals


def test_missing_residues_are_counted_by_their_numbers():
    structure = protein(HAIRPIN[:5] + HAIRPIN[8:])
    for place, residue in enumerate(structure[0]["A"]):
        residue.seqid.num = place + 1 + 3 * (place > 4)
    (chain,) = read_chains(pdb(structure))
    assert chain.seq_pos.tolist() == [0, 1, 2, 3, 4, *range(8, 20)]
    assert chain.counts["missing residues"] == 3
    graph = chain_graph(chain, ContactEdges(), TOKENIZER, 1024)
    beside = graph.edge_index[:, graph.edge_attr[:, -1] == 1]
    assert [4, 5] not in beside.T.tolist()
    assert [5, 6] in beside.T.tolist()


def test_a_break_whose_numbers_go_on_lacks_one_at_least():
    (chain,) = read_chains(pdb(protein(HAIRPIN[:5] + HAIRPIN[8:])))
    assert chain.seq_pos.tolist() == [0, 1, 2, 3, 4, *range(6, 18)]


def test_missing_residues_are_counted_by_the_whole_sequence():
    """SEQRES knows what was in the crystal, whatever the numbers say."""
    structure = protein(HAIRPIN[:5] + HAIRPIN[8:])
    structure.setup_entities()
    structure.entities[0].full_sequence = [name for name, *_ in HAIRPIN]
    for written in (pdb, mmcif):
        (chain,) = read_chains(written(structure))
        assert chain.seq_pos.tolist() == [0, 1, 2, 3, 4, *range(8, 20)]


def test_insertion_codes_and_skipped_numbers_are_no_gaps():
    """As antibodies and proteases are numbered: 1, 2, 2A, 2B, 5 are bonded all the same."""
    structure = protein(HAIRPIN[:5])
    for residue, number in zip(structure[0]["A"], ("1", "2", "2A", "2B", "5"), strict=True):
        residue.seqid = gemmi.SeqId(number)
    for written in (pdb, mmcif):
        graph = graph_of(structure, written)
        assert graph.text == "MQIFV"
        assert graph.seq_pos.tolist() == [0, 1, 2, 3, 4]


def test_the_likeliest_of_several_places():
    structure = protein(HAIRPIN[:3])
    residue = structure[0]["A"][1]
    residue.remove_atom("CB", "\0", gemmi.Element("C"))
    residue.add_atom(atom_of("CB", (1, 2, 3), altloc="A", occ=0.4))
    residue.add_atom(atom_of("CB", (4, 5, 6), altloc="B", occ=0.6))
    assert graph_of(structure).pos[1].tolist() == [4, 5, 6]


@pytest.mark.parametrize(("occupancy", "letter"), [(0.3, "Q"), (0.7, "E")])
def test_the_likelier_of_two_residues_in_one_place(occupancy, letter):
    structure = protein(HAIRPIN[:3])
    one, other = structure[0]["A"][1], residue_of(2, "GLU", *HAIRPIN[1][1:])
    for residue, label, occ in ((one, "A", 1 - occupancy), (other, "B", occupancy)):
        for atom in residue:
            atom.altloc, atom.occ = label, occ
    structure[0]["A"].add_residue(other, 2)
    for written in (pdb, mmcif):
        assert graph_of(structure, written).text == f"M{letter}I"


def test_the_first_of_several_models():
    (chain,) = read_chains(pdb(protein(models=3)))
    assert chain.counts["several models"] == 1
    assert chain.pos[0].tolist() == pytest.approx(HAIRPIN[0][2])
    (alone,) = read_chains(pdb(protein()))
    assert alone.counts["several models"] == 0


def test_modified_residues():
    """Selenomethionine is read as methionine; what derives from none is unknown."""
    structure = protein()
    for place, name in ((0, "MSE"), (6, "TPO"), (11, "TPO"), (19, "UNK")):
        structure[0]["A"][place].name = name
        structure[0]["A"][place].het_flag = "H"
    (chain,) = read_chains(mmcif(structure))
    assert chain.letters == SEQUENCE[:-1] + "X"
    told = {key: number for key, number in chain.counts.items() if "modified" in key}
    assert told == {"modified MSE": 1, "modified TPO": 2}


def test_what_is_no_residue():
    """Nucleic acids, water, ions (calcium is called CA too) and ligands."""
    structure = protein()
    nucleic = dna()[0]["A"]
    nucleic.name = "D"
    structure[0].add_chain(nucleic)
    for number, (name, element) in enumerate((("HOH", "O"), ("CA", "Ca")), 101):
        residue = gemmi.Residue()
        residue.name, residue.seqid = name, gemmi.SeqId(str(number))
        residue.add_atom(atom_of("CA" if name == "CA" else "O", (30, 30, 10), element))
        structure[0]["A"].add_residue(residue)
    for written in (pdb, mmcif):
        (chain,) = read_chains(written(structure))
        assert (chain.name, chain.letters) == ("A", SEQUENCE)
        assert chain.counts["other chains"] == 1


def test_residues_that_lack_atoms():
    structure = protein()
    residues = structure[0]["A"]
    residues[1].remove_atom("CB", "\0", gemmi.Element("C"))
    residues[4].remove_atom("CA", "\0", gemmi.Element("C"))
    (chain,) = read_chains(pdb(structure))
    assert chain.letters == SEQUENCE[:4] + SEQUENCE[5:]
    assert chain.pos[1].tolist() == pytest.approx(HAIRPIN[1][1])
    assert chain.seq_pos.tolist() == [0, 1, 2, 3, *range(5, 20)]
    told = ("residues without CA", "residues without CB")
    assert [chain.counts[key] for key in told] == [1, 1]


def test_coordinates_that_are_no_numbers():
    text = mmcif(protein()).decode().replace("26.865 28.934 3.898", "? ? ?")
    (chain,) = read_chains(text.encode())
    assert chain.letters == SEQUENCE[0] + SEQUENCE[2:]


def test_lines_as_before_1996():
    """They ended in the entry's name and a number, where charges are now."""
    lines = [
        line[:66].ljust(72) + f"1UBI {number:3}" if line.startswith("ATOM") else line
        for number, line in enumerate(pdb(protein()).decode().splitlines())
    ]
    (chain,) = read_chains("\n".join(lines).encode())
    assert chain.letters == SEQUENCE


def test_remarks_may_be_in_any_encoding():
    (chain,) = read_chains(b"REMARK   \xe9\xff\n" + pdb(protein()))
    assert chain.letters == SEQUENCE


def test_residues_in_one_place():
    """As where a program has written zeros for what it did not know."""
    with pytest.raises(ValueError, match=r"residues 1 and 3, counted from 0, are 0.00 Angstrom"):
        graph_of(protein([HAIRPIN[0], HAIRPIN[1], HAIRPIN[2], HAIRPIN[1]]))


def test_a_chain_is_cut():
    graph = graph_of(protein(), length=12)
    assert (graph.num_nodes, graph.cut, graph.text) == (12, 8, SEQUENCE[:12])
    assert graph.edge_index.max() == 11


def test_b_factors():
    (chain,) = read_chains(pdb(protein()))
    assert chain.b_factor.tolist() == list(range(1, 21))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no atom"),
        (b"<html>not found</html>", "holds no atom"),
        (b"data_x\n_cell.length_a 3\n", "holds no atom"),
        (mmcif(protein())[:-300], "cannot be read as PDB or mmCIF: .*Wrong number of values"),
        (b"{", "holds no atom"),
        (pdb(protein())[:1500], "cannot be read as PDB or mmCIF: .*line is too short"),
        (pdb(dna()), "no chain to read: it holds no amino acid"),
        (pdb(chain_without_alpha()), "no chain to read: chain A has no CA atom"),
    ],
)
def test_what_is_no_structure(data, reason):
    with pytest.raises(ValueError, match=reason):
        read_chains(data)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cutoff": 0}, "data.cutoff must be a positive distance, got 0"),
        ({"cutoff": float("nan")}, "data.cutoff must be a positive distance, got nan"),
        ({"num_radial": 1}, "data.num_radial must be a whole number of at least 2, got 1"),
    ],
)
def test_options_out_of_range(options, reason):
    with pytest.raises(ValueError, match=reason):
        ContactEdges(**options)
