import math

import pytest
import torch
from matplotlib.colors import to_hex
from torch.nn.functional import one_hot

from gia.analysis import save
from gia.analysis.track_figures import (
    MOST_PLACES,
    PREDICTED,
    RIGHT,
    TRUE,
    UNKNOWN,
    WRONG,
    Track,
    class_tracks,
    number_tracks,
)

NAN = math.nan


def of_classes(target, chosen, number=3, sure=0.8):
    probability = torch.full((len(chosen), number), (1 - sure) / (number - 1))
    probability[one_hot(torch.tensor(chosen), number).bool()] = sure
    return Track(
        "1abc", list("ACDEF" * len(chosen))[: len(chosen)], torch.tensor(target), probability
    )


def of_numbers(length, **ends):
    target = torch.arange(float(length))
    return Track("1abc", ["A"] * length, target, target + 1, **ends)


def bars(axes, bottom):
    return [bar for bar in axes.patches if bar.get_y() == pytest.approx(bottom)]


def test_classes_are_bands_over_the_probability_of_what_is_predicted():
    chain = of_classes([0.0, 1.0, NAN, 2.0], [0, 2, 1, 2])
    (axes,) = class_tracks([chain], ["C", "E", "H"], "three").axes
    probability = bars(axes, 0)
    assert [bar.get_height() for bar in probability] == pytest.approx([0.8] * 4)
    colours = [to_hex(bar.get_facecolor()) for bar in probability]
    assert colours == [RIGHT, WRONG, UNKNOWN, RIGHT]
    predicted, true = (bars(axes, middle - 0.4) for middle in (PREDICTED, TRUE))
    colours = [[to_hex(bar.get_facecolor()) for bar in row] for row in (predicted, true)]
    assert colours[0][0] == colours[1][0]
    assert colours[0][1] == colours[0][3] == colours[1][3]
    assert colours[1][2] == UNKNOWN
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert [written[place, PREDICTED] for place in range(4)] == list("CHEH")
    assert [written.get((place, TRUE)) for place in range(4)] == ["C", "E", None, "H"]
    assert axes.get_title("left") == "1abc: 67% of 3 known residues right"


def test_classes_of_words_are_in_the_legend_alone():
    figure = class_tracks([of_classes([0.0, 1.0], [0, 1])], ["helix", "strand", "coil"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["A", "C"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:3] == ["helix", "strand", "coil"]


def test_more_classes_than_named_colours_differ():
    classes = list(range(12))
    chain = of_classes([float(index) for index in classes], classes, number=12)
    (axes,) = class_tracks([chain], [f"class {index}" for index in classes]).axes
    assert len({to_hex(bar.get_facecolor()) for bar in bars(axes, TRUE - 0.4)}) == 12


def test_long_sequences_are_wrapped_and_cut():
    length = MOST_PLACES + 30
    figure = class_tracks([of_classes([0.0] * length, [0] * length)], ["C", "E", "H"])
    assert len(figure.axes) == MOST_PLACES / 80
    assert figure.axes[1].get_xticklabels()[0].get_text() == "90"
    assert f"its first 320 of {length}" in figure.axes[0].get_title("left")


def test_numbers_are_lines_with_an_interval():
    chain = of_numbers(5, lower=torch.arange(5.0) - 1, upper=torch.arange(5.0) + 3)
    chain.target[2] = NAN
    figure = number_tracks([chain], "shift", "ppm", confidence=0.9)
    (axes,) = figure.axes
    true, predicted = axes.lines
    assert true.get_ydata()[[0, 1, 3, 4]].tolist() == [0, 1, 3, 4]
    assert math.isnan(true.get_ydata()[2])
    assert predicted.get_ydata().tolist() == [1, 2, 3, 4, 5]
    assert axes.get_ylabel() == "shift (ppm)"
    assert axes.get_title("left") == "1abc: mean absolute error 1 ppm of 4 known residues"
    low, high = axes.get_ylim()
    assert low < -1
    assert high > 7
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["true", "predicted", "interval of 0.9", "true value not known"]


def test_endless_intervals_and_equal_numbers_are_drawn(tmp_path):
    endless = of_numbers(3, lower=torch.full((3,), -math.inf), upper=torch.full((3,), math.inf))
    chain = Track("x", ["A"] * 3, torch.ones(3), torch.ones(3))
    figure = number_tracks([endless, chain], "y")
    assert len(save(figure, tmp_path / "picture")) == 2
    assert figure.axes[0].get_ylim()[1] < 10
