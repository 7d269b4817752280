"""What a file is that is no table: looked at before anything is made of its letters."""

import re

# By their first bytes, and how to go on.
BINARY = {
    b"%PDF": ("a PDF", "export the table in it as CSV"),
    b"PK\x03\x04": ("a zip archive or an Excel file", "unpack it, or save it as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Excel or Word file", "save it as .xlsx or CSV"),
    b"PAR1": ("a Parquet file", "save it as CSV"),
    b"BZh": ("compressed with bzip2", "unpack it with bunzip2"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it with unxz"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it with unzstd"),
    b"\x89HDF": ("an HDF5 file", "save its table as CSV"),
    b"\x93NUMPY": ("a NumPy array", "save it as CSV with a header"),
    b"SQLite format 3": ("an SQLite database", "export its table as CSV"),
    b"ARROW1": ("a Feather file", "save it as CSV or Parquet"),
    b"\x89PNG": ("a picture", "give the data itself"),
    b"{\\rtf": ("a text of a word processor (RTF)", "save it as plain text"),
}
# A line of a PDB file, without a separator of tables in it or before another one.
RECORD = r"(HEADER {4}|TITLE {5}|COMPND {4}|REMARK +\d|CRYST1 +\d|MODEL {5}|ATOM {2,}\d|HETATM *\d)"
PDB = rf"{RECORD}([^,;\t\n]*(\n|$)|[^\n]*\n({RECORD}|SOURCE|KEYWDS|CAVEAT|SPLIT))"
# Texts that are no tables, by how they begin.
TEXT = {
    r">[^\n]*\n\s*[A-Za-z*-]*\s*(\n|$)": ("FASTA", "use data=fasta"),
    r"(?s)(#[^\n]*\n|\s)*data_\S*\s*\n(?=.*^\s*(_|loop_))": (
        "CIF, the coordinates of a structure",
        "use data=crystals, or data=protein_structures of a protein",
    ),
    PDB: (
        "PDB, the coordinates of a structure",
        "use data=protein_structures, or give the sequences as FASTA",
    ),
    r"([^\n]*\n){3}[^\n]*V[23]000\s*\n": (
        "a molecule file (MOL or SDF)",
        "write its molecules as SMILES into a table",
    ),
    r"#?\s*@<TRIPOS>": ("MOL2", "write its molecules as SMILES into a table"),
    r"(?i)\s*<(!doctype|html|\?xml)": ("a page of the web or XML", "download the file itself"),
    r"version https://git-lfs": ("a pointer of Git LFS", "fetch the file itself with git lfs pull"),
    r"@[^\n]*\n[A-Za-z]+\n\+": ("FASTQ", "write its sequences as FASTA and use data=fasta"),
    r"LOCUS {5}": ("GenBank", "write its sequences as FASTA and use data=fasta"),
}
# What follows where the first bytes are letters that a text may begin with.
LETTERS = {
    b"BZh": re.compile(rb"BZh[1-9]1AY&SY"),
    b"PAR1": re.compile(rb"PAR1[^\n\r\t -~]"),
    b"ARROW1": re.compile(rb"ARROW1[^\n\r\t -~]"),
}


def check_bytes(data: bytes, file: str) -> None:
    """See that bytes may be text.

    Args:
        data: the beginning of a file, or all of it.
        file: what the error calls it.

    Raises:
        ValueError: naming what else they are.
    """
    for start, (what, way) in BINARY.items():
        if data.startswith(start) and (start not in LETTERS or LETTERS[start].match(data)):
            raise ValueError(f"{file} is {what}: {way}")
    if data[257:262] == b"ustar":
        raise ValueError(f"{file} is a tar archive: unpack it and name a file in it")


def check_text(text: str, file: str) -> None:
    """See that a text may be a table.

    Args:
        text: the whole file.
        file: what the error calls it.

    Raises:
        ValueError: naming what else it is.
    """
    for start, (what, way) in TEXT.items():
        if re.match(start, text[:5000], re.MULTILINE):
            raise ValueError(f"{file} is {what}, not a table: {way}")
    if "\0" in text:
        raise ValueError(
            f"{file} has NUL characters in it, so it is no text, or UTF-16 without its mark: save "
            "it as UTF-8, for example with iconv -f UTF-16LE -t UTF-8 FILE > NEW"
        )
