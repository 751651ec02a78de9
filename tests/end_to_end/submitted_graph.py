"""Runs a graph as it was submitted, and measures what passed each of its collections."""

from collections import defaultdict

from apache_beam.metrics import monitoring_infos
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.portability.common_urns import composites, primitives
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


def measure(graph):
    """Runs a graph in this process: collection to its number of elements and its largest, in bytes.

    Beam takes the sizes of a sample of the elements, at first of all.
    """
    graph = api.Pipeline.FromString(graph.SerializeToString())
    for environment in graph.components.environments.values():
        environment.urn, environment.payload = "beam:env:embedded_python:v1", b""
        del environment.dependencies[:]
    result = FnApiRunner().run_via_runner_api(graph, PipelineOptions())
    result.wait_until_finish()
    measured = defaultdict(lambda: {"elements": 0, "largest": 0})
    for info in result.monitoring_infos():
        of = measured[info.labels.get("PCOLLECTION")]
        if info.urn == monitoring_infos.ELEMENT_COUNT_URN:
            count = monitoring_infos.extract_counter_value(info)
            of["elements"] = max(of["elements"], count)
        elif info.urn == monitoring_infos.SAMPLED_BYTE_SIZE_URN:
            _, _, _, largest = monitoring_infos.extract_distribution(info)
            of["largest"] = max(of["largest"], largest)
    return measured


def side_inputs(graph):
    """Collections that are side inputs, with the first step, by name, that takes them."""
    found = {}
    for step in graph.components.transforms.values():
        if step.spec.urn == primitives.PAR_DO.urn:
            payload = api.ParDoPayload.FromString(step.spec.payload)
            for tag in payload.side_inputs:
                collection = step.inputs[tag]
                found[collection] = min(step.unique_name, found.get(collection, step.unique_name))
    return found


def grouped(graph):
    """Collections that are grouped or shuffled, with a step that does so."""
    urns = (primitives.GROUP_BY_KEY.urn, composites.RESHUFFLE.urn)
    return {
        collection: step.unique_name
        for step in graph.components.transforms.values()
        if step.spec.urn in urns
        for collection in step.inputs.values()
    }


def hinted(graph):
    """Steps for whose workers resource hints are given, with the hints, and all other steps."""
    environments, steps = graph.components.environments, graph.components.transforms.values()
    leaves = [step for step in steps if not step.subtransforms and step.environment_id]
    hints = {
        step.unique_name: dict(environments[step.environment_id].resource_hints) for step in leaves
    }
    return {name: found for name, found in hints.items() if found}, {
        name for name, found in hints.items() if not found
    }


def between_workers(graph):
    """Collections that go from workers with other hints than those that they go to."""
    steps = graph.components.transforms.values()
    makers = {
        collection: step.environment_id
        for step in steps
        if not step.subtransforms and step.environment_id
        for collection in step.outputs.values()
    }
    return {
        collection: step.unique_name
        for step in steps
        if not step.subtransforms and step.environment_id
        for collection in step.inputs.values()
        if makers.get(collection, step.environment_id) != step.environment_id
    }
