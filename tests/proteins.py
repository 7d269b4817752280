"""A few residues of real proteins, and files of them as gemmi writes them."""

import gzip

import gemmi

# CA and CB of the first residues of ubiquitin, a hairpin, as the PDB has them in 1UBI.
HAIRPIN = [
    ("MET", (26.381, 25.361, 2.894), (25.112, 24.879, 3.647)),
    ("GLN", (26.865, 28.934, 3.898), (26.705, 30.075, 2.869)),
    ("ILE", (26.337, 30.097, 7.481), (26.384, 29.049, 8.615)),
    ("PHE", (26.738, 33.375, 9.262), (25.716, 34.518, 9.009)),
    ("VAL", (28.694, 33.964, 12.448), (30.02, 33.257, 12.703)),
    ("LYS", (27.688, 37.185, 14.195), (26.204, 37.528, 14.394)),
    ("THR", (30.228, 38.648, 16.668), (31.693, 38.933, 16.327)),
    ("LEU", (29.675, 41.141, 19.477), (30.053, 40.943, 20.952)),
    ("THR", (31.412, 43.923, 17.538), (32.902, 43.966, 17.32)),
    ("GLY", (28.926, 44.064, 14.71)),
    ("LYS", (31.073, 42.002, 12.385), (32.605, 41.894, 12.528)),
    ("THR", (29.551, 39.049, 10.637), (28.131, 39.111, 10.03)),
    ("ILE", (31.691, 36.312, 9.257), (32.97, 35.842, 9.974)),
    ("THR", (30.599, 33.927, 6.546), (30.193, 34.38, 5.135)),
    ("LEU", (31.574, 30.268, 6.659), (31.54, 29.613, 8.073)),
    ("GLU", (31.26, 27.362, 4.332), (31.865, 27.319, 2.917)),
    ("VAL", (30.253, 24.247, 6.217), (29.925, 24.578, 7.681)),
    ("GLU", (28.491, 20.905, 6.022), (29.174, 19.678, 5.39)),
    ("PRO", (25.827, 19.832, 8.486), (24.403, 19.441, 8.06)),
    ("SER", (28.083, 16.845, 9.162), (28.429, 15.771, 8.151)),
]
SEQUENCE = "MQIFVKTLTGKTITLEVEPS"


def protein(residues=HAIRPIN, names=("A",), models=1, shift=0.0):
    """A ``gemmi.Structure`` with a copy of the residues for each chain, each 100 Angstrom further.

    Args:
        residues: name, coordinates of CA, and those of CB if it has one.
        names: of the chains.
        models: how often all is there, each 1 Angstrom further.
        shift: added to each coordinate.
    """
    structure = gemmi.Structure()
    for number in range(models):
        model = gemmi.Model(number + 1)
        for place, name in enumerate(names):
            chain = gemmi.Chain(name)
            for index, residue in enumerate(residues):
                moved = shift + number + 100 * place
                chain.add_residue(residue_of(index + 1, *residue, moved=moved))
            model.add_chain(chain)
        structure.add_model(model)
    return structure


def residue_of(number, name, *atoms, moved=0.0):
    """A residue with atoms CA and CB, of B factors that count from its number."""
    residue = gemmi.Residue()
    residue.name, residue.seqid = name, gemmi.SeqId(str(number))
    for label, pos in zip(("CA", "CB"), atoms, strict=False):
        residue.add_atom(atom_of(label, [x + moved for x in pos], b_iso=number))
    return residue


def atom_of(name, pos, element="C", altloc="", occ=1.0, b_iso=0.0):
    """An atom."""
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos = name, gemmi.Element(element), gemmi.Position(*pos)
    atom.occ, atom.b_iso = occ, b_iso
    if altloc:
        atom.altloc = altloc
    return atom


def pdb(structure):
    """The structure as the bytes of a PDB file."""
    return structure.make_pdb_string().encode()


def mmcif(structure):
    """The structure as the bytes of an mmCIF file."""
    structure = structure.clone()
    structure.setup_entities()
    structure.assign_label_seq_id()
    return structure.make_mmcif_document().as_string().encode()


def write(path, structure):
    """Write it in the format, gzipped or not, that the file's endings say."""
    data = mmcif(structure) if "cif" in path.suffixes[0] else pdb(structure)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
