# Launches jobs from a flex template. Its workers run in an image of cpu.Dockerfile or gpu.Dockerfile.
FROM apache/beam_python3.11_sdk:2.77.0

COPY --from=gcr.io/dataflow-templates-base/python311-template-launcher-base:20230622_RC00 /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher

WORKDIR /annotator/source
COPY setup.py README.md LICENSE ./
COPY model model
COPY pipeline pipeline
RUN pip install --no-cache-dir '.[gcp]'

WORKDIR /annotator
COPY run_pipeline.py deploy/launch.py ./
RUN python launch.py --help

ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/annotator/launch.py
ENTRYPOINT ["/opt/google/dataflow/python_template_launcher"]
