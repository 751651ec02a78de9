"""A runner that starts a job service for each command, as Beam's do for clusters of Flink or Spark.

The service runs the job in this process, so there is no cluster that goes on. What the command says
and leaves does not depend on that.
"""

import os
import shutil
from pathlib import Path

from apache_beam.runners.portability.job_server import EmbeddedJobServer
from apache_beam.runners.portability.portable_runner import PortableRunner

FLAGS = (
    f"--runner={__name__}.ClusterRunner",
    "--environment_type=beam:env:embedded_python:v1",
    "--shared_disk",
)
# Names a journal that turns into a file once a job is submitted, so that nothing is written there.
LOST_JOURNAL = "LOST_JOURNAL"


class ClusterRunner(PortableRunner):
    """See above."""

    def default_job_server(self, options):
        """What Beam starts where no ``--job_endpoint`` is given."""
        return EmbeddedJobServer()

    def run_portable_pipeline(self, pipeline, options):
        """Submits a job."""
        result = super().run_portable_pipeline(pipeline, options)
        if journal := os.environ.get(LOST_JOURNAL):
            shutil.rmtree(journal)
            Path(journal).write_bytes(b"")
        return result
