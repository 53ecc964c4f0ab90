ARG BASE=python:3.11-slim
FROM ${BASE}
# StringNormalizer of ONNX demands a locale of this name, for the case of letters: that is the same in C.UTF-8.
RUN ln -s C.utf8 /usr/lib/locale/en_US.utf8
ENV PATH=/opt/modelwright/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/modelwright \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1
COPY dependencies/ /opt/modelwright/
# LightGBM looks for OpenMP by its plain name, which the base has not got. XGBoost brings it under a name of its own.
RUN ln -s /opt/modelwright/xgboost_cpu.libs/libgomp-*.so.* /usr/lib/libgomp.so.1
USER 65532:65532
ENTRYPOINT ["modelwright-training"]
COPY application/ /opt/modelwright/
