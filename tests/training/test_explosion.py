import pytest

from gia.training.explosion import explosion_of


def epochs(*losses):
    return [{"epoch": number, "val/loss": loss} for number, loss in enumerate(losses)]


def test_a_validation_that_explodes_is_told_with_its_epochs():
    said = explosion_of(epochs(1.0, 0.2, 0.1, 7.5))
    assert said.startswith("val/loss rose from 0.1 in epoch 2 to 7.5 in epoch 3, and the best")


@pytest.mark.parametrize(
    "losses",
    [
        (),
        (1.0,),
        (1.0, 0.2, 0.9),  # overfitting
        (1.0, 0.5, 4.0),
        (30.0, 0.2, 7.5),  # it began worse
        (-1.0, -3.0, -2.5),  # a likelihood
    ],
)
def test_other_runs_are_left_alone(losses):
    assert explosion_of([{"epoch": 0, "train/loss": 1.0}, *epochs(*losses)]) is None
