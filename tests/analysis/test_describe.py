from io import StringIO

from rich.console import Console

from gia.analysis import describe_data


def described(summary):
    console = Console(file=StringIO(), width=120)
    describe_data(summary, console)
    return console.file.getvalue()


def parts(**counts):
    return {part: dict(counts) for part in ("train", "val", "test")}


GRAPHS = {
    "graphs": 30, "duplicates": 0, "groups": 30, "largest_group": 1,
    **parts(graphs=10, nodes=1234, edges=2468, largest_group=1),
}  # fmt: skip
SEQUENCES = {
    "sequences": 30, "empty_skipped": 2, "duplicates": 3, "groups": 20, "largest_group": 4,
    "cut": 1, "symbols_cut": 7, "unknown": {"1": 2}, "padding_waste": 0.125,
    **parts(sequences=10, tokens=500, largest_group=4),
}  # fmt: skip


def test_sequences_are_counted():
    text = described(SEQUENCES)
    for said in (
        "tokens", "500", "3 duplicates; 20 groups kept together, the largest of 4", "12.5%",
        "1 sequences longer than data.max_length were cut: 7 symbols lost",
        "2 empty sequences skipped", "unknown symbols read as <unk>: '1' 2",
    ):  # fmt: skip
        assert said in text
    assert "nodes" not in text


def test_graphs_are_counted():
    text = described(GRAPHS)
    assert "1,234" in text
    assert "2,468" in text
    for word in ("tokens", "padding", "skipped", "masked"):
        assert word not in text


def test_how_a_table_was_read_is_told_in_one_line():
    note = "20 cells of 'class' read 'NA': taken as a class; data.missing=[NA] makes them missing"
    note = f"{note}, and more that is wider than the console"
    assert f"  {note}\n" in described(GRAPHS | {"notes": [note]})


def test_what_is_lost_of_graphs_is_told_by_row():
    rejected = [
        {"row": row, "name": f"row_{row}", "reason": f"no molecule: [bad{row}]"}
        for row in range(13)
    ]
    rejected[1]["name"] = "aspirin"
    masked = [{"row": 40, "name": "row_40", "reason": "'n/a' is no number"}]
    more = {
        "rejected": rejected, "masked": masked, "missing_targets": {"y": 1, "z": 0},
        "left_out": {"more than 100 atoms": 2}, "single_node": 3, "without_edges": 4,
        "absent_classes": {"test": ["active"], "val": []},
    }  # fmt: skip
    text = described(GRAPHS | more)
    for said in (
        "13 rows skipped", "row 0: no molecule: [bad0]", "row 1 (aspirin): no molecule",
        "row 9: no", "and 3 more", "row 40: 'n/a' is no number", "1 without a value of y",
        "2 left out: more than 100 atoms", "3 graphs of one node", "4 graphs without edges",
        "test has none of the class active",
    ):  # fmt: skip
        assert said in text
    assert "row 10" not in text
    assert "value of z" not in text
    assert "val has none" not in text


def test_classes_are_counted_in_each_part():
    classes = {"train": {"no": 7, "yes": 3}, "val": {"no": 10}, "test": {"no": 4, "yes": 6}}
    summary = GRAPHS | {
        part: GRAPHS[part] | {"classes": counts} for part, counts in classes.items()
    }
    del summary["val"]["classes"]  # a part without graphs has none
    rows = [line.replace("│", " ").split() for line in described(summary).splitlines()]
    assert ["train", "10", "1,234", "2,468", "7", "3"] in rows
    assert ["val", "10", "1,234", "2,468", "0", "0"] in rows


def test_what_is_known_of_sequences_is_told():
    first = {"kind": "sequence", "text": "M" * 50, "rows": list(range(12))}
    text = described(
        SEQUENCES
        | {
            "letters": 200,
            "in_several_parts": 2,
            "conflicting": {"phase": {"number": 1, "of": 27, **first}},
            "notes": ["3 lines of comment were left out"],
        }
    )
    text = " ".join(text.split())
    for said in (
        "unknown symbols read as <unk>: '1' 2 (1.00% of all letters)",
        "2 occur in more than one part of the split",
        f"1 of 27 different sequences have several values of phase, the first is {'M' * 40}... "
        "(rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...)",
        "3 lines of comment were left out",
    ):
        assert said in text
