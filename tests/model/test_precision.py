from pathlib import Path

import pytest
import tensorflow as tf

from model.precision import chosen, dtype_of


def cpuinfo(*flags):
    """What Linux says of one processor after the other."""
    lines = [
        f"processor\t: {number}\nmodel name\t: A processor with avx512_bf16\n"
        f"flags\t\t: fpu avx2 avx512f {each}\nvmx flags\t: amx_bf16\nbugs\t\t:\n"
        for number, each in enumerate(flags)
    ]
    return "\n".join(lines)


ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cpuinfo("avx512_bf16"), "bfloat16"),
        (cpuinfo("amx_bf16 amx_tile", "amx_bf16"), "bfloat16"),
        (cpuinfo("avx512_bf16", "avx512_bf16"), "bfloat16"),
        (cpuinfo("avx512_bf16", ""), "float32"),
        (cpuinfo(""), "float32"),
        (cpuinfo("avx512_bf16_not", "avx512_fp16"), "float32"),
        (ARM, "float32"),
        ("", "float32"),
    ],
)
def test_auto_goes_by_every_processor(text, expected):
    assert chosen([], text) == expected


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ([(8, 0)], "bfloat16"),
        ([(9, 0), (8, 6)], "bfloat16"),
        ([(10, 0)], "bfloat16"),
        ([(7, 5)], "float32"),
        ([(9, 0), (7, 0)], "float32"),
        ([(0, 0)], "float32"),
    ],
)
def test_auto_goes_by_the_gpus_if_there_are_any(gpus, expected):
    for text in ("", cpuinfo("avx512_bf16")):
        assert chosen(gpus, text) == expected


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_dtype_stands_for_itself(name):
    assert dtype_of(name) == name


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU decides")
def test_auto_asks_linux_what_this_machine_has():
    file = Path("/proc/cpuinfo")
    assert dtype_of("auto") == chosen([], file.read_text() if file.is_file() else "")


def test_refuses_other_precisions():
    with pytest.raises(ValueError, match="one of float32, bfloat16, float16, auto; got 'fp8'"):
        dtype_of("fp8")
