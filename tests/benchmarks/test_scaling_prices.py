"""Hours and money, against figures worked out by hand."""

import pytest

from benchmarks.results_files import Measured, publish
from benchmarks.scaling_model import Shape
from benchmarks.scaling_prices import Prices, Workers, main, projection, warnings
from tests.benchmarks.test_scaling_model import COSTS

PRICES = Prices(worker_hour=0.2, thousand_writes=0.005, thousand_reads=0.0004, gigabyte_month=0.02)


def projected(images, workers):
    return projection(COSTS, Shape(images), workers, PRICES, 1000, start_minutes=6, retried=0)


def test_hours_and_money_of_processors():
    # An image takes 0.05 seconds of a core, and a worker has the work of 2 cores.
    row = projected(1_440_000, Workers(10, vcpus=4, core_speed=0.5, busy=1.0))
    assert row["hours"] == pytest.approx(1.1)
    assert row["worker hours"] == pytest.approx(11)
    assert row["for workers"] == pytest.approx(2.2)
    # 10 images a second of a process are 50 rows in each file of the journal.
    asked = 1_470_373 * 0.005 + 1_497_600 * 0.0004
    assert row["for requests"] == pytest.approx(asked / 1000)
    assert row["in all"] == pytest.approx(row["for workers"] + row["for requests"])
    assert row["a month of storage"] == pytest.approx(1_440_000 * 90_500 / 1e9 * 0.02)
    assert row["images/s"] == pytest.approx(1_440_000 / 3960)


@pytest.mark.parametrize(("rate", "seconds"), [(50, 0.02), (1000, 0.01)])
def test_of_gpu_and_processors_the_slower_counts(rate, seconds):
    workers = Workers(1, vcpus=4, core_speed=0.5, busy=1.0, gpu_rate=rate)
    assert workers.seconds({"network": 99, "decode": 0.015, "png": 0.005}) == seconds


def test_more_writes_than_a_new_bucket_takes_are_said():
    few, many = ({"images": "1e+08", "writes/s": rate} for rate in (900.0, 7000.0))
    assert warnings(few) == []
    (line,) = warnings(many)
    assert "7,000 writes a second" in line
    assert "after 60 minutes" in line


def test_the_command_prints_a_row_for_each_number_of_images(tmp_path, capsys):
    publish(Measured("costs", COSTS.rows(), [], []), "made.up", [], tmp_path / "costs.json")
    capsys.readouterr()
    prices = ["--worker_hour", "1", "--thousand_writes", "1", "--thousand_reads", "1"]
    main(["--costs", str(tmp_path / "costs.json"), *prices, "--gigabyte_month", "1"])
    printed = capsys.readouterr().out
    assert [line.split(" |")[0] for line in printed.splitlines()[:5]] == [
        "| images",
        "| ---",
        "| 1e+06",
        "| 1e+08",
        "| 1e+10",
    ]


def test_a_price_that_is_not_given_is_asked_for(capsys):
    with pytest.raises(SystemExit):
        main(["--worker_hour", "1"])
    assert "--thousand_writes" in capsys.readouterr().err
