import pytest

from benchmark import discover

# Read off the printed tables, not copied from the blocks.
SPOTS = {
    ("table1", "SOLAMI", "pve"): 29.6462,
    ("table1", "Our", "accel"): 2.4632,
    ("table4", "Number of Tokens", "value"): 11558,
    ("table4", "Base Learning Rate", "value"): 1e-4,
    ("table5", "s=1/1 B=512", "mpjpe"): 136.6638,
    ("table5", "s=1/24 B=256", "accel"): 4.5206,
    ("table5", "s=1/24 B=1024", "params_m"): 121.51,
    ("table5", "s=1/36 B=512", "mpjpe"): 8.6344,
    ("table5", "s=1/54 B=512", "pve"): 17.878,
    ("table6", "Axis-Angle", "pa_mpjpe"): 6.0989,
}


def quoted(table):
    return discover.load("tables", table).quoted()


@pytest.mark.parametrize("spot", SPOTS)
def test_spot_values(spot):
    table, row, column = spot
    assert quoted(table)[row][column].value == SPOTS[spot]


def test_printed_decimals_are_kept():
    assert quoted("table5")["s=1/36 B=512"]["pve"].printed == "10.7010"
    assert quoted("table5")["s=1/54 B=512"]["pve"].printed == "17.878"


def test_our_row_of_table_1_equals_its_twins_in_tables_5_and_6():
    ours = quoted("table1")["Our"]
    for twin in (quoted("table5")["s=1/36 B=512"], quoted("table6")["6D Representation"]):
        assert {key: twin[key] for key in ours} == ours


def test_utilisation_is_a_whole_number_of_codes():
    used = {}
    for row in discover.load("tables", "table5").rows:
        size = row.params["codebook_size"]
        percent = quoted("table5")[row.label]["codebook_util_pct"].value
        used[row.label] = round(percent * size / 100)
        assert round(100 * used[row.label] / size, 2) == percent
    assert list(used.values()) == [410, 471, 250, 492, 804, 255, 506, 882, 511]


def test_pa_mpjpe_is_below_mpjpe_in_every_printed_row():
    for table in ("table1", "table5", "table6"):
        for row in quoted(table).values():
            assert row["pa_mpjpe"].value < row["mpjpe"].value


def test_the_twins_of_tables_1_5_and_6_are_one_task():
    from benchmark.profiles import embedded
    from benchmark.stages import make_task

    def task(table, label):
        rows = {row.label: row for row in discover.load("tables", table).rows}
        return make_task(rows[label], embedded(), seed=0, metrics=("pose",))

    ours = task("table1", "Our")
    assert ours.identity == task("table5", "s=1/36 B=512").identity
    assert ours.identity == task("table6", "6D Representation").identity
    assert ours.identity != task("table6", "Axis-Angle").identity


def test_all_rows_of_table_5_train_alike():
    from benchmark.profiles import embedded
    from benchmark.stages import make_task

    rows = discover.load("tables", "table5").rows
    trainings = [
        make_task(row, embedded(), seed=0, metrics=()).settings["training"] for row in rows
    ]
    assert all(training == trainings[0] for training in trainings)
