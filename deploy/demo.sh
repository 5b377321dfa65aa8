#!/usr/bin/env bash
# demo.sh: a private cluster answers three questions from real documents.
#
# Called by `make demo`, which builds first. Two retrievers read this project's
# docs/ and libzmq's manual pages; research splits each question, scatters it
# and writes a cited report. Everything is private to this run: a directory, a
# port. Whatever happens, the cluster is taken down again.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export BUILD=${BUILD:-build}
sluice=$BUILD/bin/sluice
manuals=$BUILD/demo/libzmq

questions=(
    "Which error does a ROUTER socket return when a message is unroutable, and what is a ZMQ_REQ socket used for?"
    "What happens to the tasks of a worker that is killed, and what happens to a task when the broker dies?"
    "What is the default value of ZMQ_LINGER, and how many days is it from 2026-01-01 to 2026-12-24?"
)

SLUICE_RUN=$(mktemp -d "${TMPDIR:-/tmp}/sluice-demo-XXXXXX")
export SLUICE_RUN

finish() {
    local status=$?
    trap - EXIT INT TERM
    if [ $status -ne 0 ]; then
        echo
        echo "demo: failed (status $status); what the cluster said:"
        for log in "$SLUICE_RUN"/*.log; do
            [ -f "$log" ] || continue
            echo "--- $(basename "$log")"
            tail -n 30 "$log"
        done
    fi
    deploy/cluster.sh down || status=1
    rm -rf "$SLUICE_RUN"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

# free_port: one that nobody listens on now, below the range the kernel hands
# out for outgoing connections. proc_net(5): local address as hex, state 0A.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! grep -qi "$(printf ':%04X [0-9A-F:]* 0A' $port)" /proc/net/tcp /proc/net/tcp6 2>/dev/null; then
            echo $port
            return
        fi
    done
}

deploy/deps.sh manuals "$manuals"
SLUICE_BROKER=tcp://127.0.0.1:$(free_port)
export SLUICE_BROKER

echo "demo: starting a broker, 2 retrievers, 2 tools, 2 analysis, 1 research"
deploy/cluster.sh up --no-store --docs docs --docs "$manuals" \
    --retriever 2 --tool 2 --analysis 2 --research 1
echo
"$sluice" services

for question in "${questions[@]}"; do
    printf '\n%s\n' "================================================================================"
    printf '$ sluice ask "%s"\n\n' "$question"
    "$sluice" ask "$question"
done

printf '\n%s\n' "================================================================================"
echo "demo: ${#questions[@]} questions answered"
