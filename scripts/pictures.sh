#!/usr/bin/env bash
# Takes the pictures of the README from a running hub (`hub demo`, a few minutes old): the page in Chromium, the
# terminal from tmux's screen. Needs chromium, tmux, aha and the page's development packages (scripts/test.sh).
#
#   scripts/pictures.sh [HOST:PORT]
set -euo pipefail
cd "$(dirname "$0")/.."
hub=${1:-127.0.0.1:8080}
out=docs/images
mkdir -p "$out"
node scripts/pictures.mjs "http://$hub/" "$out"
socket=pictures-$$
tmux -L "$socket" -f /dev/null new-session -d -x 120 -y 36 "${TUI:-cargo run --quiet --release -p dashboard-tui --} --hub ws://$hub --theme dark"
trap 'tmux -L "$socket" kill-server' EXIT
until tmux -L "$socket" capture-pane -p | grep -q '● Live'; do sleep 0.2; done
tmux -L "$socket" send-keys j j
sleep 6
tmux -L "$socket" capture-pane -e -p | aha --black --style 'font: 15px/1.25 "Cascadia Mono", "DejaVu Sans Mono", monospace; background: #0a0a0a' >target/terminal.html
node scripts/pictures.mjs "file://$PWD/target/terminal.html" "$out" terminal
