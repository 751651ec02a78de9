"""The composite that sees images: its resource hints, and that nothing in it cuts it."""

import apache_beam as beam
import pytest
from apache_beam.portability.common_urns import primitives, resource_hints
from apache_beam.transforms.environments import EmbeddedPythonEnvironment

from pipeline.build import build
from pipeline.job_settings import Job

HINTS = ("min_ram=3GiB", "accelerator=type:nvidia-l4;count:1;install-nvidia-driver")


def graph(job):
    pipeline = beam.Pipeline()
    build(pipeline, job)
    return pipeline.to_runner_api(default_environment=EmbeddedPythonEnvironment.default())


JOBS = [
    Job("out", inputs=("in",), resume=True, hints=HINTS),
    Job("out", inputs=("in",), mask_format="parquet", hints=HINTS),
    Job("out", masks="in", truth="truth", hints=HINTS),
]


@pytest.mark.parametrize("job", JOBS, ids=["annotate", "shards", "score"])
def test_hints_are_on_all_of_the_composite_and_nowhere_else(job):
    proto = graph(job)
    expected = {
        resource_hints.MIN_RAM_BYTES.urn: str(3 << 30).encode(),
        resource_hints.ACCELERATOR.urn: HINTS[1].partition("=")[2].encode(),
    }
    inside = set()
    for transform in proto.components.transforms.values():
        name = transform.unique_name
        found = dict(proto.components.environments[transform.environment_id].resource_hints)
        if transform.spec.urn == primitives.PAR_DO.urn:
            within = name.startswith("Annotate/")
            assert found == (expected if within else {}), name
            inside.update([name.split("/")[1].rstrip("0123456789")] if within else [])
    wanted = {"Decode", "Segment", "WriteAndScore"} if job.masks is None else {"Score"}
    wanted |= {"GatherMasks"} if job.in_shards else set()
    packs = {"PackNew", "PackRenewed", "PackKept"}
    assert inside == {"Load", *wanted, "WriteJournal", "RenewJournal", *packs, "Done", "Failed"}


@pytest.mark.parametrize("job", JOBS, ids=["annotate", "shards", "score"])
def test_the_composite_is_one_fused_stage(job):
    proto = graph(job)
    gathered = {
        output
        for transform in proto.components.transforms.values()
        if transform.unique_name.startswith("Annotate/")
        and transform.spec.urn == primitives.FLATTEN.urn
        for output in transform.outputs.values()
    }
    cuts = {primitives.GROUP_BY_KEY.urn, "beam:transform:reshuffle:v1"}
    for transform in proto.components.transforms.values():
        if transform.unique_name.startswith("Annotate/"):
            assert transform.spec.urn not in cuts, transform.unique_name
            # Local runners gather all that goes into a Flatten before anything comes out of it.
            for name in transform.inputs.values():
                assert name not in gathered, transform.unique_name
            # Each has the one input: no side input, for which a runner waits.
            if transform.spec.urn == primitives.PAR_DO.urn:
                assert len(transform.inputs) == 1, transform.unique_name
