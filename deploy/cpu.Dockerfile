# Workers without a GPU. Built from the root of the repository; README.md has the command.
FROM apache/beam_python3.11_sdk:2.77.0

WORKDIR /annotator/source
COPY setup.py README.md LICENSE ./
COPY model model
COPY pipeline pipeline
# The weights are part of the package.
RUN pip install --no-cache-dir '.[gcp,heic]'

# The bundled photos, from outside the source: an image whose package or weights are missing, or
# whose libraries do not go together, is never finished.
WORKDIR /annotator
COPY run_pipeline.py ./
RUN python run_pipeline.py --runner=DirectRunner --output tried
RUN rm -r tried

# The entrypoint of the base image, /opt/apache/beam/boot, starts the worker.
