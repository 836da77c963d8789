# Skyloom on a CPU, ready for the demo:
#
#   docker build -t skyloom .
#   docker run --rm -v "$PWD/runs:/home/skyloom/runs" skyloom                    # the demo; the run page lies in runs/demo
#   docker run --rm -v "$PWD:/data" skyloom corpus extract /data/pages.warc.gz -o - > pages.jsonl    # any other command
#
# The small CPU build of torch saves gigabytes: --build-arg TORCH_INDEX=<the CPU wheel index that pytorch.org's install page names>.
# The user has the number 1000; give --build-arg USER_ID=$(id -u) if yours is another, so that it may write into the mounted folder.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=
WORKDIR /source
# torch comes first, so that an edit of the code does not fetch it again.
COPY constraints.txt ./
RUN python -m venv /opt/skyloom \
    && /opt/skyloom/bin/python -m pip install --no-cache-dir --constraint constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/skyloom/bin/python -m pip install --no-cache-dir --constraint constraints.txt .

FROM python:${PYTHON}-slim
ARG USER_ID=1000
# g++ compiles the training step. The demo fetches documentation packages through apt, as the user; so apt's lists stay.
# hadolint ignore=DL3008,DL3009
RUN apt-get update && apt-get install --yes --no-install-recommends g++
COPY --from=build /opt/skyloom /opt/skyloom
RUN useradd --create-home --uid "$USER_ID" skyloom && install --directory --owner skyloom /home/skyloom/runs
ENV PATH=/opt/skyloom/bin:$PATH PYTHONUNBUFFERED=1
USER ${USER_ID}
WORKDIR /home/skyloom
ENTRYPOINT ["skyloom"]
CMD ["run", "demo", "--work", "runs/demo"]
