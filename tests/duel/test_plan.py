"""A plan says what there is to do, and refuses what would not be a comparison."""

import pytest
from comparisons import make_plan

from gia_duel import Trial

VARIANT = {"family": "baseline", "overrides": []}


def test_cells_are_all_combinations_that_there_are():
    plan = make_plan()
    cells = list(plan.cells())
    # 3 seeds of a for 5 variants, 2 folds of b for 4: the forest is for a alone.
    assert len(cells) == 3 * 5 + 2 * 4
    assert all(len(cell) == 2 for cell in cells)
    assert cells[0] == [Trial("a", "gin", 0, 0), Trial("a", "gin", 0, 1)]
    # Variants vary first, so that what is compared is there together.
    assert [cell[0].variant for cell in cells[:5]] == ["gin", "pna", "gps", "gine", "forest"]


def test_a_part_of_the_cells_can_be_chosen():
    cells = list(make_plan().cells(["a", "b"], [1, 2], ["gps"]))
    assert [(c[0].dataset, c[0].replicate) for c in cells] == [("a", 1), ("a", 2), ("b", 1)]


def test_cells_out_of_range_are_none_and_unknown_names_are_errors():
    plan = make_plan()
    assert plan.cell("b", "gin", 2) == []
    assert plan.cell("b", "forest", 0) == []
    with pytest.raises(ValueError, match="dataset must be one of a, b, got 'c'"):
        plan.cell("c", "gin", 0)
    with pytest.raises(ValueError, match=r"variant must be one of gin, pna, .* got 'x'"):
        plan.cell("a", "x", 0)
    with pytest.raises(ValueError, match="replicate must be a number from 0 on, got -1"):
        plan.cell("a", "gin", -1)


def test_a_variant_may_have_fewer_replicates():
    few = {**VARIANT, "replicates": 2}
    plan = make_plan(variants={"gin": {**VARIANT, "family": "ours"}, "few": few})
    assert [len(plan.cell("a", "few", r)) for r in range(3)] == [2, 2, 0]
    assert plan.replicates("a", "gin") == 3
    assert plan.replicates("a", "few") == plan.replicates("b", "few") == 2
    with pytest.raises(ValueError, match=r"variants.few.replicates must be at least 1, got 0"):
        make_plan(variants={"gin": VARIANT, "few": {**few, "replicates": 0}})


def test_later_settings_win():
    plan = make_plan(overrides=["all=1"])
    assert plan.settings(Trial("a", "gps", 0, 1)) == ["data=x", "all=1", "model=gps", "lr=2"]


def test_own_trials_are_as_many_as_those_of_the_others():
    variants = {
        "gin": {"family": "ours", "overrides": []},
        "gps": {"family": "baseline", "overrides": [], "trials": [["x=1"], ["x=2"]]},
    }
    plan = make_plan(variants=variants)
    assert plan.settings(Trial("a", "gps", 0, 1))[-1] == "x=2"
    variants["gps"]["trials"].append(["x=3"])
    with pytest.raises(ValueError, match="gps has 3 trials, the others 2"):
        make_plan(variants=variants)


DATASET = {"overrides": [], "metric": "rmse", "better": "lower", "steps": 10, "seeds": 3}
BAD = [
    ({"seeds": None}, "datasets.a needs either seeds or folds"),
    ({"folds": 3}, "datasets.a needs either seeds or folds"),
    ({"seeds": 0}, "too few replicates, got 0"),
    ({"better": "more"}, "datasets.a.better must be lower or higher, got 'more'"),
    ({"steps": 0}, "datasets.a.steps must be at least 1, got 0"),
    ({"metric": "val/rmse"}, "a name such as rmse, got 'val/rmse'"),
    ({"monitor": "loss"}, "monitor ends in lower or higher"),
    ({"step": 3}, "datasets.a has step; known are overrides, metric"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_a_bad_data_set_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        make_plan(datasets={"a": {**DATASET, **change}}, variants=two_variants())


def two_variants():
    return {
        "gin": {"family": "ours", "overrides": []},
        "gps": {"family": "baseline", "overrides": []},
    }


def test_a_plan_that_lacks_something_says_what():
    with pytest.raises(ValueError, match=r"datasets\.a: missing .* 'metric'"):
        make_plan(datasets={"a": {k: v for k, v in DATASET.items() if k != "metric"}})
    with pytest.raises(ValueError, match="num_parameters is missing"):
        make_plan(num_parameters=None)
    with pytest.raises(ValueError, match="two families that meet, out of baseline, ours, refer"):
        make_plan(duel=["ours", "theirs"])
    with pytest.raises(ValueError, match="made_up has no variants"):
        make_plan(variants={})
    with pytest.raises(ValueError, match=r"gin.datasets has c, but the plan's are a, b"):
        make_plan(variants={**two_variants(), "gin": {
            "family": "ours", "overrides": [], "datasets": ["c"]}})  # fmt: skip


def test_sizes_and_budgets_are_equal_or_each_variants_own():
    free = {k: v for k, v in DATASET.items() if k != "steps"}
    own = {"num_parameters": None, "variants": two_variants()}
    plan = make_plan(datasets={"a": free}, **own)
    assert not plan.equal
    assert make_plan().equal
    with pytest.raises(ValueError, match=r"num_parameters is missing.*out datasets\.b\.steps"):
        make_plan(datasets={"a": free, "b": DATASET}, **own)
    with pytest.raises(ValueError, match=r"datasets\.a\.steps is missing: .* out num_parameters"):
        make_plan(datasets={"a": free, "b": DATASET}, variants=two_variants())


def test_what_is_compared_with_must_be_a_variant():
    assert make_plan(against=["gps", "forest"]).against == ("gps", "forest")
    with pytest.raises(ValueError, match="against has x, but the plan's variants are gin, pna"):
        make_plan(against=["gps", "x"])
