import pytest

from benchmark import discover
from benchmark.profiles import embedded
from benchmark.runs.chain import train_stage
from benchmark.runs.work_item import RunContext, make_item
from datasets.bodies.smplx_file import find_body
from tests.benchmark.results.small_table import data_of

# Read off the printed tables, not copied from the blocks.
SPOTS = {
    ("table1", "SOLAMI", "pve"): 29.6462,
    ("table1", "Our", "accel"): 2.4632,
    ("table2", "Baseline", "fid"): 57.3624,
    ("table2", "Baseline", "app"): 0.8071,
    ("table2", "Ours", "pve"): 47.3111,
    ("table2", "Ours", "div"): 12.2522,
    ("table3", "4DHuman", "accel"): 15.7393,
    ("table3", "Our", "pa_mpjpe"): 28.1528,
    ("table4", "Number of Tokens", "value"): 11558,
    ("table4", "Base Learning Rate", "value"): 1e-4,
    ("table5", "s=1/1 B=512", "mpjpe"): 136.6638,
    ("table5", "s=1/24 B=256", "accel"): 4.5206,
    ("table5", "s=1/24 B=1024", "params_m"): 121.51,
    ("table5", "s=1/36 B=512", "mpjpe"): 8.6344,
    ("table5", "s=1/54 B=512", "pve"): 17.878,
    ("table6", "Axis-Angle", "pa_mpjpe"): 6.0989,
    ("table7", "Only V2M", "mpjpe"): 53.8356,
    ("table7", "Uni-Embed.", "accel"): 5.1539,
    ("table8", "Only I2VM", "div"): 7.3109,
    ("table8", "Uni-Embed.", "mot"): 0.8926,
    ("table8", "Ours", "mpjpe"): 41.30,
    ("table9", "Baseline", "temporal_flickering"): 0.9928,
    ("table9", "Ours", "dynamic_degree"): 0.85,
    ("table10", "4DHuman", "accel"): 10.7393,
    ("table10", "4DHuman", "pve"): 67.7157,
    ("table11", "4DHuman, RICH", "pve"): 112.37,
    ("table11", "GVHMR, 3DPW", "pa_mpjpe"): 41.82,
    ("table11", "Our, 3DPW", "accel"): 4.29,
    ("table11", "Our, RICH", "mpjpe"): 58.39,
}
TABLES = discover.summaries("tables")
METHODS = {
    *("unimo", "solami", "cosmos", "gvhmr", "phalp"),  # the paper's
    "cosmos_fine_tuned",
    *("regressor", "mean_pose", "first_frame"),  # ours, for scale
}


def quoted(table):
    return discover.load("tables", table).quoted()


@pytest.mark.parametrize("spot", SPOTS)
def test_spot_values(spot):
    table, row, column = spot
    assert quoted(table)[row][column].value == SPOTS[spot]


def test_every_table_has_its_spots():
    assert {table for table, _, _ in SPOTS} == set(TABLES) == {f"table{n}" for n in range(1, 12)}


def test_printed_decimals_are_kept():
    assert quoted("table5")["s=1/36 B=512"]["pve"].printed == "10.7010"
    assert quoted("table5")["s=1/54 B=512"]["pve"].printed == "17.878"


def test_our_row_of_table_1_equals_its_twins_in_tables_5_and_6():
    ours = quoted("table1")["Our"]
    for twin in (quoted("table5")["s=1/36 B=512"], quoted("table6")["6D Representation"]):
        assert {key: twin[key] for key in ours} == ours


def test_our_row_on_v2m_is_one_in_tables_3_7_and_10():
    ours = quoted("table3")["Our"]
    assert quoted("table7")["Our"] == quoted("table10")["Our"] == ours


def test_tables_3_and_10_differ_in_one_cell():
    here, there = quoted("table3"), quoted("table10")
    assert here.keys() == there.keys()
    differing = [
        (label, key)
        for label in here
        for key in here[label]
        if here[label][key] != there[label][key]
    ]
    assert differing == [("4DHuman", "accel")]
    assert set(here["GVHMR"].values()) == {None}


def test_our_row_on_i2vm_is_one_in_tables_2_8_and_9():
    ours, scores = quoted("table2")["Ours"], quoted("table9")["Ours"]
    assert ours["app"] == scores["appearance_overall"] and ours["mot"] == scores["motion_overall"]
    for key, value in quoted("table8")["Ours"].items():
        assert ours[key].printed.startswith(value.printed)  # cut after two decimals, where it is
    baseline, scores = quoted("table2")["Baseline"], quoted("table9")["Baseline"]
    assert baseline["app"] == scores["appearance_overall"]
    assert baseline["mot"] == scores["motion_overall"]


@pytest.mark.parametrize(
    ("overall", "parts"),
    [
        (
            "appearance_overall",
            ("subject_consistency", "background_consistency", "aesthetic_quality"),
        ),
        ("motion_overall", ("motion_smoothness", "temporal_flickering", "dynamic_degree")),
    ],
)
def test_overall_scores_are_means_of_three(overall, parts):
    for row in quoted("table9").values():
        mean = sum(row[part].value for part in parts) / 3
        assert row[overall].value == pytest.approx(mean, abs=5.1e-5)


def test_utilisation_is_a_whole_number_of_codes():
    used = {}
    for row in discover.load("tables", "table5").rows:
        size = row.params["codebook_size"]
        percent = quoted("table5")[row.label]["codebook_util_pct"].value
        used[row.label] = round(percent * size / 100)
        assert round(100 * used[row.label] / size, 2) == percent
    assert list(used.values()) == [410, 471, 250, 492, 804, 255, 506, 882, 511]


def test_pa_mpjpe_is_below_mpjpe_in_every_printed_and_published_row():
    seen = 0
    for name in TABLES:
        table = discover.load("tables", name)
        for row in [*table.quoted().values(), *table.published().values()]:
            if row.get("mpjpe") is not None:
                assert row["pa_mpjpe"].value < row["mpjpe"].value
                seen += 1
    assert seen == 34  # 31 of the paper, 3 of the literature


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"table4"}))
def test_every_row_names_who_fills_it(name):
    table = discover.load("tables", name)
    rows = [*table.rows, *table.more_rows]
    assert {row.method for row in rows} <= METHODS
    assert len({row.label for row in rows}) == len(rows)
    assert {row.dataset for row in rows} - {""} <= discover.summaries("datasets").keys()
    keys = [column.key for column in (*table.columns, *table.more_columns)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("task", "tables"), [("tokenizer", (1, 5, 6)), ("v2m", (3, 7, 10, 11)), ("i2vm", (2, 8, 9))]
)
def test_tables_of_one_task_call_one_system_by_equal_rows(task, tables):
    unimo = set()
    for number in tables:
        table = discover.load("tables", f"table{number}")
        assert table.task == task
        unimo |= {tuple(row.params) for row in table.rows if row.method == "unimo"}
    if task != "tokenizer":
        assert unimo - {("fine_tuned",)} == {(), ("tasks",), ("unified",)}


def test_single_task_rows_train_on_the_task_of_their_table():
    for name, label in (("table7", "Only V2M"), ("table8", "Only I2VM")):
        table = discover.load("tables", name)
        (row,) = (row for row in table.rows if row.label == label)
        assert row.params["tasks"] == (table.task,)


def test_rows_of_table_11_are_about_the_dataset_in_their_label():
    names = {"3DPW": "threedpw", "RICH": "rich"}
    table = discover.load("tables", "table11")
    for row in table.rows:
        assert row.dataset == names[row.label.rpartition(", ")[2]]
    systems = {(row.label.partition(",")[0], row.method) for row in table.rows}
    assert systems == {("4DHuman", "phalp"), ("GVHMR", "gvhmr"), ("Our", "unimo")}


def test_literature_is_published_beside_the_paper_and_has_a_source():
    table = discover.load("tables", "table11")
    printed = {
        label: [value.printed for value in cells.values()]
        for label, cells in table.published().items()
    }
    assert printed == {
        "4DHuman, 3DPW": ["69.8", "44.4", "82.2", "18.1"],
        "GVHMR, 3DPW": ["55.6", "36.2", "67.2", "5.0"],
        "GVHMR, RICH": ["66.0", "39.5", "74.4", "4.1"],
    }
    assert "evalcmd.py" in table.source and "secondary" in table.source
    others = [discover.load("tables", name) for name in TABLES if name != "table11"]
    assert not any(other.literature or other.source for other in others)


@pytest.mark.parametrize("name", TABLES)
def test_notes_are_lines_and_none_is_told_twice(name):
    notes = discover.load("tables", name).notes
    assert notes and len(set(notes)) == len(notes)
    for note in notes:
        assert note.endswith(".") and note == " ".join(note.split())


def items_of(table):
    """Row label -> its item at the default size, on some data."""
    spec = discover.load("tables", table)
    data = data_of()
    return {
        row.label: make_item(row, spec.task, embedded(), data, seed=0, metrics=())
        for row in spec.rows
    }


def test_the_twins_of_tables_1_5_and_6_are_one_task():
    ours = items_of("table1")["Our"]
    assert ours.identity == items_of("table5")["s=1/36 B=512"].identity
    assert ours.identity == items_of("table6")["6D Representation"].identity
    assert ours.identity != items_of("table6")["Axis-Angle"].identity


def test_one_training_serves_all_rows_called_ours(tmp_path):
    context = RunContext(tmp_path, find_body(), device="cpu")

    def training(item):
        return train_stage(context, item).key

    v2m, i2vm = items_of("table7"), items_of("table8")
    assert training(v2m["Our"]) == training(i2vm["Ours"])
    assert training(v2m["Uni-Embed."]) == training(i2vm["Uni-Embed."])
    trainings = {training(item) for item in (*v2m.values(), *i2vm.values())}
    assert len(trainings) == 4


def test_all_rows_of_table_5_train_alike():
    trainings = [item.training_spec["training"] for item in items_of("table5").values()]
    assert all(training == trainings[0] for training in trainings)
