#!/bin/sh
# One reading by HTTP: reading.sh http://127.0.0.1:8080 [COUNT]. Answered when it is on the hub's disk.
# The spool and the number make it safe to send again: the hub stores each number once.
set -eu
hub=$(printf %s "$1" | sed 's/^ws/http/; s|/*$||')
spool=$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')
seq=1
while [ "$seq" -le "${2:-1}" ]; do
  curl --fail-with-body -sS --retry 5 --retry-connrefused -X POST "$hub/api/v1/readings" \
    -H 'content-type: application/json' ${HUB_TOKEN:+-H "authorization: Bearer $HUB_TOKEN"} \
    -d "{\"device\": \"shell\", \"spool\": $spool, \"seq\": $seq, \"readings\": {\"temp\": 21.5}}"
  echo
  seq=$((seq + 1))
done
