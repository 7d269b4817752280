import pytest

from gia.analysis import check_out


def test_where_nothing_can_be_written_is_told_first(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("smiles\nCC\n")
    (tmp_path / "link.csv").symlink_to(source)
    for out in (source, tmp_path / "link.csv"):
        with pytest.raises(ValueError, match="is the table that is read: give another name"):
            check_out(out, source)
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
        check_out(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_out(tmp_path / "none" / "out.csv")
    assert check_out(tmp_path / "out.csv", source) == tmp_path / "out.csv"
