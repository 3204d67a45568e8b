#!/bin/sh
# Runs RabbitMQ as Debian's packages or the official image have it; users and vhosts come from the definitions.
set -eu
PATH=/usr/lib/rabbitmq/bin:/opt/rabbitmq/sbin:$PATH
export HOME=/data RABBITMQ_MNESIA_BASE=/data/mnesia RABBITMQ_LOGS=- RABBITMQ_CONFIG_FILE=/config/rabbitmq.conf
export RABBITMQ_ENABLED_PLUGINS_FILE=/config/enabled_plugins RABBITMQ_GENERATED_CONFIG_DIR=/tmp RABBITMQ_PID_FILE=/tmp/pid
export RABBITMQ_CONFIG_FILES=/config/conf.d RABBITMQ_ADVANCED_CONFIG_FILE=/config/advanced.config RABBITMQ_LOG_BASE=/tmp
exec rabbitmq-server
