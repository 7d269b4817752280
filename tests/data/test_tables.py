"""One table in many dresses, and files that are none: read alike, or told in one line."""

import gzip
import json
import sys
import zipfile

import pytest
from conftest import SHARED

from gia.data.columns import column_names, read_columns, word_set

CASES = SHARED / "cases"
NAMES = ["smiles", "y"]
ROWS = [("C", "-1.167"), ("CC", "0.5"), ("c1ccccc1", "2")]
PLAIN = "smiles,y\nC,-1.167\nCC,0.5\nc1ccccc1,2\n"
SEMICOLONS = PLAIN.replace(",", ";").replace(".", ",")
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
JSON_COLUMNS = {name: {str(i): r[name] for i, r in enumerate(RECORDS)} for name in NAMES}


@pytest.fixture
def read(tmp_path):
    """Reads what is written to a file."""

    def columns(content, name="t.csv", **options):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_columns(file, **options)

    return columns


def rows(table, names=NAMES):
    return list(zip(*(table.numbers(name) for name in names), strict=True))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", "\t"),
        SEMICOLONS,
        SEMICOLONS.replace(";", "\t"),
        PLAIN.replace(",", "|"),
        f"sep=;\n{SEMICOLONS}",
        ",".join(f'"{cell}"' for cell in PLAIN.split(",")).replace("\n", '"\n"').removesuffix('""'),
        f"# made by a program, on a day\n# of rain\n{PLAIN}",
        f"\n{PLAIN.replace('CC', '   CC ')}\n   \n\n",
        PLAIN.replace("\n", ",\n"),  # separators at the end of all rows
        PLAIN.replace("\n", ",\n").replace("y,", "y"),  # of all but the header
        PLAIN.removesuffix("\n"),
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent=2),
        json.dumps(JSON_COLUMNS),
        "\n".join(map(json.dumps, RECORDS)),
        "\n\n".join(map(json.dumps, RECORDS)) + "\n",
        '[{"smiles": "C", "y": -1.167}, {"y": 0.5, "smiles": "CC"}, {"smiles": "c1ccccc1","y":2}]',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_dresses(read, content, encoding):
    assert rows(read(content.encode(encoding))) == ROWS


def test_gzip_shows_in_the_bytes_and_not_in_the_name(read):
    assert rows(read(gzip.compress(PLAIN.encode()))) == ROWS
    assert rows(read(gzip.compress(PLAIN.encode("utf-16")), "t.tsv.gz")) == ROWS
    assert rows(read(PLAIN, "t.csv.gz")) == ROWS
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read(gzip.compress(PLAIN.encode() * 100)[:60])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read(b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\xff" * 40)


@pytest.mark.parametrize(
    "name",
    [
        *("plain.csv", "semicolon_decimal_comma.csv", "pandas_index.tsv", "utf16.csv"),
        *("gzip_named.csv", "rows.jsonl", "records.json"),
    ],
)
def test_cases(shared_data, name):
    plain = read_columns(CASES / "plain.csv")
    table = read_columns(CASES / name)
    assert table.cells("smiles") == plain.cells("smiles")
    numbers = [float(cell) for cell in table.numbers("y")]
    assert numbers == [float(cell) for cell in plain.cells("y")]
    assert len(numbers) == 20


def test_decimal_commas_between_commas_are_refused(read, shared_data):
    told = r"decimal_comma.csv .* 20 of 20 rows .*2 cells .*row 0 \(line 2\) has 3: 'C,-1,167'"
    with pytest.raises(ValueError, match=f"{told}.*decimal comma .* semicolons$"):
        read_columns(CASES / "decimal_comma.csv")
    with pytest.raises(ValueError, match=r"1 of 2 rows.*row 1.*decimal comma looks like the cause"):
        read("smiles,y\nC,1\nCC,0,5\n")


def test_numbers_and_odd_names(shared_data):
    table = read_columns(CASES / "number_names.csv")
    for name in (400, "400"):
        table.check("target_column", name)
        assert table.cells(name)[:2] == ["-1.167", "-0.833"]
    assert table.cells(402)[:2] == ["-0.167", "0.167"]
    with pytest.raises(ValueError, match=r"no column '401' \(data.target_column\).*=40[02]\?"):
        table.check("target_column", 401)
    assert read_columns(CASES / "odd_names.csv").names == [
        *("smiles", "FP (°C)", "IC50 [nM], mean", "ΔG=0")
    ]


def test_names_of_columns_are_text():
    assert column_names(None) == []
    assert column_names(0) == ["0"]
    assert column_names([400, "y", True, 1.5]) == ["400", "y", "True", "1.5"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("\tsmiles\ty\n0\tC\t1\n1\tCC\t2\n", ["", "smiles", "y"]),  # pandas
        (",smiles,y\n0,C,1\n1,CC,2\n", ["", "smiles", "y"]),
        ('"smiles"\t"y"\n"a"\t"C"\t1\n"b"\t"CC"\t2\n', ["", "smiles", "y"]),  # R
        ("smiles;y\n1;C;1\n2;CC;2\n", ["", "smiles", "y"]),
    ],
)
def test_an_index_without_a_name(read, text, names):
    table = read(text)
    assert table.names == names
    assert rows(table) == [("C", "1"), ("CC", "2")]
    assert "column 1 has no name: it is taken as an index" in table.notes


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (PLAIN, []),
        (SEMICOLONS, ["its cells are separated by semicolons"]),
        (PLAIN.replace(",", "\t"), ["its cells are separated by tabs"]),
        (f"# a\n#b\n{PLAIN}", ["2 lines before the header, of comments, left out"]),
        (PLAIN.replace("\n", ",\n"), ["1 column without a name and a cell left out"]),
        ('a,b\n1,2\n"x\ny",2\n', ["1 row with line breaks in a cell, the first of them 1"]),
        ('"a\nb",c\n1,2', []),
        ("a,b\n1,2,\n3,4\n", ["empty cells beyond the header left out in 1 row"]),
        ("a,b\n1,2\na,b\n", ["1 row in which the header stands again, the first of them row 1"]),
    ],
)
def test_what_is_told(read, text, notes):
    assert read(text).notes == notes


def test_decimal_commas_are_told_and_the_table_stays_as_it_is(read):
    table = read("smiles;y;z;w\nC;1,5;1.5;2,4-di\nCC;<0,5;2,5;3\n")
    assert table.numbers("y") == ["1.5", "<0.5"]
    assert table.numbers("z") == ["1.5", "2,5"]  # not all of them are commas
    assert table.numbers("w") == table.cells("w")
    table.numbers("y")
    assert sum(note.startswith("the decimal commas of 'y' are read") for note in table.notes) == 1
    assert table.plain()[1][0] == {"smiles": "C", "y": "1,5", "z": "1.5", "w": "2,4-di"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("smiles;IC50, nM\nC;1,5\nCC;2,5\n", ["smiles", "IC50, nM"]),
        ("smiles,note\nC,a;b\nCC,c;d;e\n", ["smiles", "note"]),
        ("a\tb, c\n1\t2, 3\n", ["a", "b, c"]),
        ("#id,smiles\n1,C\n", ["#id", "smiles"]),
        ("seq\nMKV\nLL\n", ["seq"]),
        ('"a,b";c\n"1,2";3\n', ["a,b", "c"]),
        (" a , b \n1,2\n", ["a", "b"]),
    ],
)
def test_separators_show_in_header_and_rows(read, text, names):
    assert read(text).names == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"1 of 2 rows .*2 cells of the header \(a, b\): row 1 \(line 3\) has 1"),
        ("a,b\n\n1,2,3\n4,5,6\n", r"2 of 2 rows .*row 0 \(line 3\) has 3: '1,2,3'; row 1 "),
        ("a,b,c\n1,x,y,z\n2,x,y,z\n", "if the first column is an index, give it a name"),
        ('a,b\n"x\ny",1\nz\n', r"row 1 \(line 4\) has 1"),
        ("a,b\n" + "1,2,3\n" * 9, "; and 6 more"),
        ("text\nHello, world\nfoo\n", r"row 0 \(line 2\) has 2: .*quotation marks"),
        ('a,b\n1,2\n"3,4\n5,6\n', "row that begins in line 3 is never closed"),
        ("y,x,y\n1,2,3\n", r"the column 'y' occurs 2 times \(as columns 1 and 3\)"),
        ("a,,\n1,2,3\n", "2 columns have no name"),
        ("smiles,y,\nC,0,5\nCC,1,5\n", "column 3 has cells but no name: give it one, or empty it"),
        ("a,b\n", "no rows below its header: a, b"),
        ("a,b\n\n  \n", "no rows below its header: a, b"),
        ("a,b\n1,\0\n", "NUL characters"),
        ('[{"a": 1}, 2]', "row 1 of its JSON is no object"),
        ('{"a": 1}\n{"a": 2\n', "line 2 is no JSON record"),
        ('{"a": 1, "a": 2}\n{"a": 2}', "an object of its JSON has 'a' twice"),
        ('{"a": {"0": 1}, "b": {"0": 1, "1": 2}}', "only some of its JSON columns have a row '1'"),
        (r'[{"a": "\ud83d\ude00", "b": "x\ud83d"}]', "row 0 of its JSON holds half a character"),
        ('{"a": [1, 2]}', "'a' of its JSON is no column"),
        ('{"a": ' * 100_000, "nested too deeply|Expecting"),
        ("[]", "no rows"),
        ("{}", "no rows"),
    ],
)
def test_what_is_refused(read, text, message):
    with pytest.raises(ValueError, match=rf"data\.path=.*t\.csv .*({message})") as error:
        read(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.4\n%\xe2\xe3", "is a PDF: export"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel or Word file: save it as .xlsx"),
        (b"PK\x03\x04" + bytes(40), "a zip archive: unpack it"),
        (b"BZh91AY&SY", "is compressed with bzip2: unpack it"),
        (gzip.compress(b"a" * 257 + b"ustar" + b"b" * 9, mtime=0), "is a tar archive: unpack it"),
        (gzip.compress(b"%PDF-1.4\n", mtime=0), "is a PDF: export"),
        (b"data_NaCl\n_cell_length_a 5.6\nloop_\n", "is CIF, .*data=crystals"),
        (b"# by x\n\ndata_NaCl\n\nloop_\n_a\n", "is CIF, .*data=crystals"),
        (b"HEADER    HYDROLASE\nATOM      1  N   MET A   1\n", "is PDB, .*data=protein_structures"),
        (b"HEADER    HYDROLASE, A\nTITLE     OF B, C\n", "is PDB, .*data=protein_structures"),
        (
            b"ATOM      1  N   MET A   1      27.340  24.430   2.614\n",
            "is PDB, .*data=protein_structures",
        ),
        (b">one two, three\nMKV\n", "is FASTA, not a table: use data=fasta"),
        (b"@read\nACGT\n+\nIIII\n", "is FASTQ, .*FASTA"),
        (b"LOCUS       AB000001 9 bp DNA\n", "is GenBank, .*FASTA"),
        (b"@<TRIPOS>MOLECULE\nx\n", "is MOL2, .*SMILES"),
        (b"\n  x\n\n  3  2  0  0  0  0  0  0  0  0999 V2000\n", "MOL or SDF.*SMILES"),
        (b"<!DOCTYPE html>\n<html>404</html>", "is a page of the web .*download"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS.*git lfs pull"),
        ("a,µ\n1,2\n".encode("latin-1"), "0xb5 at offset 2.*iconv -f WINDOWS-1252 -t UTF-8"),
        (" \n\n".encode("utf-16"), "is empty"),
    ],
)
def test_what_a_file_is_instead(read, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read(content)
    assert str(error.value).count("\n") == 0


def test_a_header_that_looks_like_another_format_is_a_table(read):
    for header in ("data_id,smiles", "HEADER,smiles", "[a],{b}", "BZh,x", "data_a,_b"):
        assert read(f"{header}\n1,2\n").names == header.split(",")


def test_cells_of_any_size_and_kind(read):
    genome = "ACGT" * 50_000
    table = read(f'seq,note\n{genome},"a, ""b""\nc"\nMKV," d"\n')
    assert table.cells("seq") == [genome, "MKV"]
    assert table.cells("note") == ['a, "b"\nc', "d"]
    assert table.plain()[1][1]["note"] == " d"


def test_json_cells_keep_their_spelling(read):
    table = read('{"a": 1.50, "b": null, "c": true, "d": [1, 2.0]}\n{"a": 1E5, "e": NaN}', "x.json")
    assert table.values == {
        "a": ["1.50", "1E5"],
        "b": ["", ""],
        "c": ["True", ""],
        "d": ["1 2.0", ""],
        "e": ["", "NaN"],
    }
    assert read('{"a": 1}\n', "one.jsonl").values == {"a": ["1"]}
    assert read(gzip.compress(b'{"a": 1}\n'), "one.ndjson.gz").values == {"a": ["1"]}


def test_blank_lines_do_not_count_as_rows(read):
    table = read("\nsmiles,y\n\nC,1\n   \nCC,x\n\n")
    assert rows(table) == [("C", "1"), ("CC", "x")]


def test_words_for_missing(read):
    table = read("a\nNA\nna\n-\nx\nNaN\n", missing=["NA", "-"])
    assert table.cells("a") == ["", "na", "", "x", "NaN"]
    # As Hydra reads [nan, null, -999].
    assert [word_set([float("nan"), None, -999])(w) for w in ("NaN", "NULL", "-999", "x")] == [
        *(True, True, True, False)
    ]


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("smiles y\nC 1\n", "are its cells separated by blanks"),
        ("C,-1.167\nCC,0.5\n", "its first row looks like values"),
        ("smile,y\nC,1\n", r"did you mean data\.smiles_column=smile\?"),
        ("structure,y\nC,1\n", r"Its columns: structure, y$"),
    ],
)
def test_why_a_column_may_be_missing(read, text, guess):
    with pytest.raises(ValueError, match=rf"no column 'smiles' .*{guess}"):
        read(text).check("smiles_column", "smiles")


def test_many_columns_are_not_all_listed(read):
    names = [f"c{i}" for i in range(100)]
    table = read(",".join(names) + "\n" + ",".join(names) + "\n")
    with pytest.raises(ValueError, match=r"c29 and 70 more$"):
        table.check("smiles_column", "zzz")


def test_excel(tmp_path):
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("openpyxl")
    frame = pandas.DataFrame(
        {"smiles": ["C", "CC", None], "y": [-1.167, 2, None], "class": ["NA", "b", "None"]}
    )
    file = tmp_path / "t.xlsx"
    with pandas.ExcelWriter(file) as book:
        pandas.DataFrame().to_excel(book, sheet_name="empty")
        frame.to_excel(book, sheet_name="mine", index=False, startrow=2)
        frame.to_excel(book, sheet_name="other")
    table = read_columns(file)
    assert table.values == {
        "smiles": ["C", "CC", ""],
        "y": ["-1.167", "2", ""],
        "class": ["NA", "b", "None"],
    }
    assert table.notes == ["the first of 2 sheets is read, 'mine'"]
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"t\.xlsx is not a table that can be read"):
        read_columns(file)


def test_parquet(tmp_path):
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {"smiles": ["C", None], "n": pandas.array([1, None], "Int64"), "class": ["NA", "b"]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    expected = {"smiles": ["C", ""], "n": ["1", ""], "class": ["NA", "b"]}
    assert read_columns(tmp_path / "t.parquet").values == expected
    frame.set_index("class").to_parquet(tmp_path / "t.bin")
    assert read_columns(tmp_path / "t.bin").values == expected


@pytest.mark.parametrize(("content", "module"), [(b"PAR1xxxxPAR1", "pyarrow"), (None, "openpyxl")])
def test_formats_without_their_library(tmp_path, monkeypatch, content, module):
    file = tmp_path / "t"
    if content is None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("xl/workbook.xml", "")
    else:
        file.write_bytes(content)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"takes {module}.*pip install gia\[tables\]"):
        read_columns(file)


@pytest.mark.parametrize("separator", ["\t", "|"])
def test_thousands_are_not_taken_for_decimals(read, separator):
    table = read("smiles,y\nC,1;200\nCC,100\nCCC,3;200\n".replace(",", separator).replace(";", ","))
    assert table.numbers("y") == ["1,200", "100", "3,200"]
    assert "2 cells of 'y' such as '1,200' may be thousands or decimals" in table.notes[-1]
    table = read("smiles,y\nC,1;200\nCC,0;5\n".replace(",", separator).replace(";", ","))
    assert table.numbers("y") == ["1.200", "0.5"]


@pytest.mark.parametrize("mark", [";", "|"])
def test_of_two_separators_that_fit_the_one_that_splits_more_is_taken(read, mark):
    table = read(f"smiles,EC{mark}number,y\nCCO,1{mark}2,0\nCCN,3{mark}4,1\n")
    assert table.names == ["smiles", f"EC{mark}number", "y"]
    assert read("smiles;y\nCCO;1,5\nCCN;2,5\n").names == ["smiles", "y"]


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("# smiles,y\nCCO,0\nCCN,1\n", ["smiles", "y"], 2),  # as numpy.savetxt
        ("#Source: A, B\nsmiles,y\nCCO,0\nCCN,1\n", ["smiles", "y"], 2),
        ("#id,smiles\na,CCO\nb,CCN\n", ["#id", "smiles"], 2),
    ],
)
def test_a_line_with_a_hash_is_the_header_or_a_comment(read, text, names, rows):
    table = read(text)
    assert (table.names, len(table)) == (names, rows)


@pytest.mark.parametrize("name", ["PAR1", "ARROW1", "BZh"])
def test_a_column_may_be_called_as_a_format_begins(read, name):
    assert read(f"{name},SMI\n1,C\n2,CC\n").names == [name, "SMI"]


@pytest.mark.parametrize("header", [">id,smiles", "ATOM  1,smiles", "HEADER    x,smiles"])
def test_a_header_may_begin_as_a_file_of_sequences_or_structures(read, header):
    assert read(f"{header}\na,C\nb,CC\n").names == header.split(",")


def test_a_blank_before_a_quoted_cell_is_named(read):
    with pytest.raises(ValueError, match=r"a blank before a quotation mark"):
        read('smiles, note, y\nCCO, "a, b", 1\nCCN, "c, d", 2\n')
