# The command line and the demo, on a processor or on NVIDIA GPUs (`docker run --gpus all`):
#   docker build -t mixzoo .
#   docker run --rm -v mixzoo:/cache mixzoo quickstart
#   docker run --rm -v mixzoo:/cache -p 7860:7860 mixzoo app --host 0.0.0.0
#   docker run --rm -v mixzoo:/cache -v /data/inat2018:/data:ro mixzoo eval ROW --data /data
FROM python:3.11-slim
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt . && rm -rf /src/*
RUN useradd --create-home mixzoo && install -d -o mixzoo /cache
USER mixzoo
WORKDIR /home/mixzoo
ENV MIXZOO_CACHE=/cache
EXPOSE 7860
ENTRYPOINT ["mixzoo"]
CMD ["--help"]
