from analysis.frontier import frontier_points
from analysis.training import has_several_steps, training_curves

PAIRS = [(6.5, 0.2), (6.0, 0.5), (5.5, 1.0)]


def test_evaluations_are_in_order_and_in_the_unit_of_the_frontier(rows) -> None:
    stored = rows(
        PAIRS,
        trial_id=["b", "a", "a"],
        step=[100, 100, 50],
        final=[True, True, False],
        status=["done", "done", "running"],
        tokens=2.0,
    )
    curves = training_curves(stored, frontier_points(stored, unit="token"))
    assert curves[["trial_id", "step", "nll_value"]].to_numpy().tolist() == [
        ["a", 50, 2.75],
        ["a", 100, 3.0],
        ["b", 100, 3.25],
    ]
    assert curves["on_frontier"].tolist() == [True, True, False]


def test_the_same_trial_of_two_runs_is_two(rows) -> None:
    stored = rows(PAIRS[:2], trial_id="t", run=["x", "y"], arm="a", step=[50, 100])
    curves = training_curves(stored, frontier_points(stored))
    assert curves["label"].tolist() == ["x: a", "y: a"]
    assert not has_several_steps(curves)


def test_a_trial_has_several_steps_or_not(rows) -> None:
    stored = rows(PAIRS, trial_id=["a", "a", "b"], step=[50, 100, 100])
    curves = training_curves(stored, frontier_points(stored))
    assert has_several_steps(curves)
    assert not has_several_steps(curves[curves["step"] == 100])
