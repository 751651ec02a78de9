# Workers with an NVIDIA GPU. Built from the root of the repository; README.md has the command.
#
# CUDA and cuDNN come as packages that TensorFlow's own extra names, so that they go together. The
# driver is the host's: Dataflow installs it, and mounts it at /usr/local/nvidia.
FROM apache/beam_python3.11_sdk:2.77.0

ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib64
ENV PATH=/usr/local/nvidia/bin:$PATH

WORKDIR /annotator/source
COPY setup.py README.md LICENSE ./
COPY model model
COPY pipeline pipeline
# In one step, so that the same TensorFlow is meant. The weights are part of the package.
RUN pip install --no-cache-dir '.[gcp,heic]' 'tensorflow[and-cuda]'

# The bundled photos, on the processor: nothing that builds an image has a GPU.
WORKDIR /annotator
COPY run_pipeline.py ./
RUN python run_pipeline.py --runner=DirectRunner --output tried
RUN rm -r tried

# The entrypoint of the base image, /opt/apache/beam/boot, starts the worker.
