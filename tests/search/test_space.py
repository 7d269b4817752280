"""Hydra's grammar of sweeps as what a search draws from."""

import pytest

pytest.importorskip("optuna")

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gia.search import Dimension, Space


@pytest.mark.parametrize(
    ("sweep", "distribution"),
    [
        ("interval(0,0.5)", FloatDistribution(0.0, 0.5)),
        ("tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("int(interval(1,5))", IntDistribution(1, 5)),
        ("tag(log,int(interval(1,8)))", IntDistribution(1, 8, log=True)),
        ("range(2,6)", IntDistribution(2, 5)),
        ("range(16,65,16)", IntDistribution(16, 64, step=16)),
        ("range(5,1,-2)", IntDistribution(3, 5, step=2)),
        ("range(0,0.5,0.25)", FloatDistribution(0.0, 0.25, step=0.25)),
        ("choice(64,128)", CategoricalDistribution([64, 128])),
        ("16,32", CategoricalDistribution([16, 32])),
        ("choice(gin,pna)", CategoricalDistribution(["gin", "pna"])),
        ("choice(true,false)", CategoricalDistribution([True, False])),
    ],
)
def test_a_sweep_is_a_distribution(sweep, distribution):
    assert Dimension.parse(f"model.a={sweep}").distribution == distribution


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("interval(2,1)", "the interval is empty"),
        ("tag(log,interval(0,1))", "above 0, got 0.0"),
        ("interval(0,inf)", "finite"),
        ("range(6,6)", "the range is empty"),
        ("choice(1,1)", "there twice"),
        ("tag(log,choice(1,2))", "the tag log means nothing"),
        ("tag(odd,interval(1,2))", "the tag odd means nothing"),
        ("glob(*)", "name the options with choice"),
        ("3", "a space has choice"),
    ],
)
def test_a_sweep_that_holds_nothing_is_refused(sweep, said):
    with pytest.raises(ValueError, match=said) as refused:
        Dimension.parse(f"model.a={sweep}")
    assert str(refused.value).startswith(f"model.a={sweep}: ")


def test_what_is_drawn_is_read_as_the_same_setting():
    space = Space(["a=choice(x,'y z',[1,2])", "+b=interval(0,1)", "c=choice(true,false)"])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(20):
        trial = study.ask()
        a, b, c = space.suggest(trial)
        seen |= {a, c}
        assert b == f"+b={trial.params['b']!r}"
        assert space.settings(trial.params) == [a, b, c]
    assert seen == {"a=x", "a=y\\ z", "a=[1,2]", "c=true", "c=false"}


def test_whether_it_holds_the_settings_as_they_are():
    space = Space(["lr=interval(0,1)", "depth=range(2,9,3)", "width=choice(16,32)"])
    assert space.holds({"lr": 1, "depth": 5, "width": 32})
    for odd in ({"lr": 1.5}, {"lr": None}, {"depth": 4}, {"depth": 5.5}, {"width": 64}):
        assert not space.holds({"lr": 1, "depth": 5, "width": 32} | odd)
    assert not space.holds({"lr": 1, "depth": 5})


def test_a_small_space_is_a_grid():
    space = Space(["a=range(0,1,0.5)", "b=choice(x,y)", "b=choice(x,y,z)"])
    assert len(space.grid(6)) == 6
    assert {"a": 0.5, "b": "z"} in space.grid(6)
    assert space.grid(5) is None
    assert Space(["a=interval(0,1)"]).grid(100) is None
