ARG BASE
FROM ${BASE}
USER 0:0
RUN cd /opt/modelwright && rm -rf modelwright modelwright_serving modelwright_stores modelwright_training
COPY application/ /opt/modelwright/
USER 65532:65532
