#!/usr/bin/env bash
# Installs what the tests need (into target/tools, and Debian packages where they are missing) and runs everything:
# formatting, lints, unit and integration tests, the page in Chromium, the terminal in tmux, dependencies.
#
#   scripts/test.sh            everything
#   scripts/test.sh --quick    what needs nothing but Rust
#
# RECORDINGS=DIR    real sensor recordings to replay as well       KILLS=N   how often the hub is killed (default 100)
# ADVISORY_DB=DIR   RustSec advisories to check dependencies with  SEED=N    repeats a run of the random tests
set -uo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/target/tools
log=$PWD/target/test-log
mkdir -p "$tools" "$log"
rm -f "$log"/*.log
quick=false
[ "${1:-}" = --quick ] && quick=true
failed_steps=()
skipped_steps=()
started=$SECONDS

say() { printf '\n\033[1m== %s\033[0m (%d s)\n' "$*" $((SECONDS - started)); }
skip() { printf 'skipped: %s\n' "$*"; skipped_steps+=("$*"); }

# step NAME COMMAND…: runs it, keeps its output, remembers when it fails, goes on.
step() {
  local name=$1
  shift
  say "$name"
  if "$@" 2>&1 | tee "$log/${name//[^a-z0-9]/-}.log"; then return 0; fi
  failed_steps+=("$name")
  printf 'FAILED: %s\n' "$name"
  return 1
}

# need COMMAND PACKAGE…: installs Debian packages when the command is missing. One apt-get at a time.
apt_updated=false
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  if ! command -v apt-get >/dev/null; then
    skip "$command is missing and this is no Debian: install it to run its tests"
    return 1
  fi
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $apt_updated || $sudo apt-get update -qq || return 1
  apt_updated=true
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >"$log/apt.log" 2>&1 ||
    { tail -5 "$log/apt.log"; skip "cannot install $*"; return 1; }
}

install_parts() {
  need tmux tmux
  need strace strace
  need chromium chromium fonts-dejavu-core
  need promtool prometheus
  python3 -m pip --version >/dev/null 2>&1 || need pip3 python3-pip
  if [ ! -d "$tools/python/cbor2" ]; then
    python3 -m pip install -q --disable-pip-version-check --target "$tools/python" 'cbor2>=5.6,<7' 'websockets>=14,<18' ||
      skip 'cannot install cbor2 and websockets: the Python example is not run'
  fi
  if [ ! -d "$tools/node/node_modules/cbor-x" ]; then
    npm install --silent --no-audit --no-fund --prefix "$tools/node" ws@8 cbor-x@1 ||
      skip 'cannot install ws and cbor-x: the JavaScript example is not run'
  fi
  (cd web-dashboard && npm ci --silent --no-audit --no-fund) || skip 'cannot install the web tests'
  if ! command -v cargo-deny >/dev/null && [ ! -x "$tools/bin/cargo-deny" ]; then
    cargo install cargo-deny --locked --quiet --root "$tools" || skip 'cannot install cargo-deny'
  fi
}

check_dependencies() {
  if [ -n "${ADVISORY_DB:-}" ]; then
    sed "s|^db-path.*|db-path = \"$ADVISORY_DB\"|" deny.toml >target/deny.toml
    cargo deny --offline --config target/deny.toml check
  else
    echo 'ADVISORY_DB is not set: advisories are not checked'
    cargo deny --offline check bans licenses sources
  fi
}

export PATH=$tools/bin:$PATH PYTHONPATH=$tools/python${PYTHONPATH:+:$PYTHONPATH} NODE_PATH=$tools/node/node_modules
if $quick; then
  step 'tests' cargo test --workspace --no-fail-fast
else
  say 'installing what the tests need'
  install_parts
  export KILLS=${KILLS:-100}
  step 'formatting' cargo fmt --all --check
  step 'lints' cargo clippy --workspace --all-targets --quiet -- -D warnings
  step 'tests' cargo test --workspace --no-fail-fast
  if command -v cargo-deny >/dev/null; then step 'dependencies' check_dependencies; fi
  if [ -d web-dashboard/node_modules ]; then
    step 'page types' npm --prefix web-dashboard run --silent check
    step 'page tests' npm --prefix web-dashboard test --silent
    HUB_BIN=$PWD/target/debug/hub DEVICE_SIM_BIN=$PWD/target/debug/device-sim \
      step 'page in chromium' npm --prefix web-dashboard run --silent e2e
  fi
fi

# Adds up the runners' own summaries: cargo's "N passed; N failed", node's "pass N" and "fail N".
sum() { cat "$log"/*.log 2>/dev/null | sed -nE "$1" | awk '{ total += $1 } END { print total + 0 }'; }
passed=$(($(sum 's/^test result: [a-zA-Z]+\. ([0-9]+) passed.*/\1/p') + $(sum 's/^(ℹ|#) pass ([0-9]+)$/\2/p')))
failed=$(($(sum 's/^test result: .* ([0-9]+) failed;.*/\1/p') + $(sum 's/^(ℹ|#) fail ([0-9]+)$/\2/p')))
skipped=$(($(sum 's/^(ℹ|#) skipped ([0-9]+)$/\2/p') + ${#skipped_steps[@]}))
printf '\n'
for step in "${failed_steps[@]}"; do printf 'failed: %s (see target/test-log)\n' "$step"; done
for step in "${skipped_steps[@]}"; do printf 'skipped: %s\n' "$step"; done
# A step that failed without a test failing (a lint, a build) counts as one.
[ "$failed" -ge "${#failed_steps[@]}" ] || failed=${#failed_steps[@]}
printf 'took %d s\n%d passed, %d failed, %d skipped\n' $((SECONDS - started)) "$passed" "$failed" "$skipped"
[ "${#failed_steps[@]}" = 0 ] && [ "$passed" -gt 0 ]
