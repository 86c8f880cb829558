# attractor on a CPU: docker build -t attractor . && docker run -v "$PWD/runs:/work/runs" attractor demo
FROM python:3.12-slim
WORKDIR /work
COPY constraints.txt pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
      --constraint /source/constraints.txt /source && rm -r /source
ENTRYPOINT ["attractor"]
CMD ["--help"]
