# docker build -t dscreid .                        with CUDA, for machines with a GPU
# docker build -t dscreid --build-arg TORCH=cpu .  without CUDA: gigabytes smaller
# docker run --gpus all --shm-size 8g -v /data:/dscreid/data -v "$PWD/weights:/dscreid/weights" -v "$PWD/work_dirs:/dscreid/work_dirs" dscreid train dsc/dsc_bupt2hitsz
FROM python:3.11-slim-bookworm

ARG TORCH=default
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /dscreid
COPY . .
RUN make install TORCH=$TORCH

ENV PATH=/dscreid/.venv/bin:$PATH
ENTRYPOINT ["dscreid"]
CMD ["--help"]
