#!/usr/bin/env bash
# shellcheck disable=SC2086  # options are words
exec java ${KAFKA_HEAP_OPTS--Xmx256M} -XX:+UseSerialGC -XX:-UsePerfData ${KAFKA_LOG4J_OPTS-} ${KAFKA_OPTS-} \
  -cp '/opt/kafka/libs/*' "$@"
