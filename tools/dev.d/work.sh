# shellcheck shell=bash
# build, image, test, lint, bench, chaos.

JOBS=${HEARTH_JOBS:-$(nproc)}

configure() {   # configure PRESET [OPTION…]
  # A release folder that is new is compiled once: many sources together. One that somebody works in stays as it is.
  [ "$1" != release ] || [ -f "$ROOT/build/release/CMakeCache.txt" ] || set -- "$1" -DHEARTH_UNITY=ON "${@:2}"
  (cd "$ROOT" && cmake --preset "$@" > "$LOGS/cmake-$1.log" 2>&1) || { tail -n 20 "$LOGS/cmake-$1.log" >&2; fail "configuring $1 failed"; }
}

build() {   # build PRESET [TARGET…]
  local preset=$1
  shift
  step "build ($preset)"
  mkdir -p "$LOGS"
  configure "$preset"
  (cd "$ROOT" && cmake --build "build/$preset" -j "$JOBS" ${1:+--target "$@"}) >&2 || fail "the build failed"
}

cmd_build() {
  local preset=release
  if [ "${1:-}" = --preset ]; then preset=${2:-}; shift 2 || usage_error "build: --preset which one?"; fi
  [[ $preset =~ ^(dev|release|asan|tsan|fuzz|tidy)$ ]] || usage_error "build: no preset '$preset'"
  mkdir -p "$LOGS"
  # Whoever asks for it will edit: each source by itself, though the demo or the tests have begun this folder otherwise.
  [ "$preset" != release ] || configure release -DHEARTH_UNITY=OFF
  build "$preset" "$@"
}

# shellcheck disable=SC2120  # called with options from tools/dev alone
cmd_image() {
  local more=()
  case ${1:-} in
    "") ;;
    --renew-lock) more=(--renew-lock) ;;
    *) usage_error "image: unknown option $1" ;;
  esac
  step "image"
  [ -x "$BIN/hearth-agent" ] || build release hearth-agent
  "$ROOT/guest/image/build.sh" --agent "$BIN/hearth-agent" --out "$IMAGE" --cache "$CACHE/packages" "${more[@]}" >&2
}

provide() {   # provide [TARGET…]: what a stack needs, and these targets
  build release programs "$@"
  # shellcheck disable=SC2119
  cmd_image
}

# ---- tests ---------------------------------------------------------------------------------------------------------
PASSED=0
FAILED=0
FAILURES=()

count_result() {   # count_result NAME STATUS
  if [ "$2" -eq 0 ]; then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); FAILURES+=("$1"); fi
}

test_names() {   # test_names PRESET RING: the test binaries of a ring that the filter lets through
  local without=()
  [ "$1" != tsan ] || without=(-LE '^one_thread$')
  (cd "$ROOT/build/$1" && ctest -N -L "^$2\$" "${without[@]}") | sed -n 's/^ *Test *#[0-9]*: *//p' | { grep -E -- "${FILTER:-.}" || true; }
}

build_tests() {   # build_tests PRESET RING…: those binaries and nothing else
  local preset=$1 ring targets=()
  shift
  mkdir -p "$LOGS"
  configure "$preset"
  for ring in "$@"; do mapfile -t -O ${#targets[@]} targets < <(test_names "$preset" "$ring"); done
  if [ ${#targets[@]} -gt 0 ]; then build "$preset" "${targets[@]}"; fi
}

run_binaries() {   # run_binaries PRESET LABEL: every test binary of the ring
  local preset=$1 label=$2 name rc
  while read -r name; do
    rc=0
    (cd "$ROOT/build/$preset" && ctest -R "^$name\$" --output-on-failure --timeout 600 > "$LOGS/test-$preset-$name.log" 2>&1) || rc=$?
    say "   $([ $rc -eq 0 ] && echo pass || echo FAIL)  $preset $label $name"
    [ $rc -eq 0 ] || tail -n 60 "$LOGS/test-$preset-$name.log" >&2
    count_result "$preset $name" $rc
  done < <(test_names "$preset" "$label")
}

ring_unit() {
  build_tests release unit
  step "unit"
  run_binaries release unit
}

check_apart() {   # that each source compiles by itself: what it lacks another one of its target may have brought in
  local rc=0
  configure dev -B build/apart -DHEARTH_UNITY=OFF
  (cd "$ROOT" && cmake --build build/apart -j "$JOBS" > "$LOGS/apart.log" 2>&1) || rc=$?
  say "   $([ $rc -eq 0 ] && echo pass || echo FAIL)  dev nightly build_apart"
  [ $rc -eq 0 ] || grep -m 5 error: "$LOGS/apart.log" >&2
  count_result "build_apart" $rc
}
ring_simulation() { build_tests release simulation; step "simulation"; run_binaries release simulation; }

in_test_stack() {   # runs "$@" with a stack of its own, state in a temporary folder, gone afterwards
  local folder rc=0
  folder=$(mktemp -d /tmp/hearth-test.XXXXXX)
  chmod 711 "$folder"   # the accounts that machines run under pass through
  (
    export HEARTH_STATE=$folder HEARTH_CACHE=$CACHE
    "$ROOT/tools/dev" up "${UP_OPTIONS[@]}" && eval "$("$ROOT/tools/dev" env)" && "$@"
  ) || rc=$?
  if [ $rc -ne 0 ]; then mkdir -p "$LOGS/failed-stack"; cp "$folder"/logs/*.log "$LOGS/failed-stack/" 2>/dev/null || true; fi
  HEARTH_STATE=$folder "$ROOT/tools/dev" down --purge || rc=$?
  return $rc
}

ring_integration() {
  provide tests-integration
  step "integration"
  export HEARTH_IMAGE=$IMAGE
  UP_OPTIONS=(--only "kafka,redis,libvirtd")
  in_test_stack run_integration || count_result "integration" 1
  if [ -f "$STATE/integration.count" ]; then
    local passed failed
    read -r passed failed < "$STATE/integration.count"
    PASSED=$((PASSED + passed)); FAILED=$((FAILED + failed))
    rm -f "$STATE/integration.count"
  fi
}
run_integration() {   # in a subshell: hands its counts over in a file
  PASSED=0 FAILED=0
  run_binaries release integration
  printf '%s %s\n' "$PASSED" "$FAILED" > "$LOGS/../integration.count"
}

ring_e2e() {
  provide
  step "end to end"
  run_pytest e2e
}
ring_docs() {   # pages, examples, alerts: against one stack
  provide
  step "documents"
  run_pytest docs
}
ring_nightly() {   # takes minutes each: not among the default rings; shows what the tests print
  provide hearth-bench tests-unit tests-integration
  step "nightly: load, thousand lives, benches"
  run_pytest e2e -m nightly -s
  if [ -z "${FILTER:-}" ]; then
    check_apart
    FILTER=executor_clones HEARTH_CLONES=100 ring_integration
  fi
  step "nightly: fuzz"
  HEARTH_FUZZ_SECONDS=${HEARTH_FUZZ_SECONDS:-60} ring_fuzz
  step "nightly: mutants of isolation"
  run_pytest mutants
  # shellcheck disable=SC2034  # read by compose.sh
  FROM_SOURCE=1 COMPOSE_TESTS=(-m "variant or not variant")
  ring_compose
}

run_pytest() {   # run_pytest FOLDER OPTION…: the tests of tests/FOLDER; counts them
  local folder=$1 rc=0 report=$LOGS/$1.xml counts
  shift
  rm -f "$report"
  HEARTH_CACHE=$CACHE HEARTH_IMAGE=$IMAGE "$PYTHON" -m pytest -q -p no:cacheprovider --junitxml "$report" ${FILTER:+-k "$FILTER"} "$@" "$ROOT/tests/$folder" >&2 || rc=$?
  if [ $rc -eq 5 ] && [ -n "$FILTER" ]; then return; fi   # the filter lets none of them through
  counts=$("$PYTHON" - "$report" <<'PY' || true
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0].attrib
bad = int(suite["failures"]) + int(suite["errors"])
print(int(suite["tests"]) - bad - int(suite["skipped"]), bad)
PY
)
  if [ -z "$counts" ]; then counts="0 1"; fi   # pytest itself failed
  PASSED=$((PASSED + ${counts%% *})) FAILED=$((FAILED + ${counts##* }))
  [ $rc -eq 0 ] || FAILURES+=("tests/$folder")
}

# The tests of machines wait most of their time: what the sanitizers' ring needs is built beside them, at the lowest
# priority. It is ended with the run; what it could not build, the ring itself builds, and tells of.
build_ahead() {
  step "build ahead (asan, tsan)"
  set -m   # a process group of its own, which can be ended whole
  (
    renice -n 19 "$BASHPID"
    for preset in asan tsan; do build_tests "$preset" unit simulation; done
  ) > "$LOGS/build-ahead.log" 2>&1 < /dev/null &
  AHEAD=$!
  set +m
  trap 'kill -- "-$AHEAD" 2>/dev/null || true' EXIT
}

ring_sanitize() {
  local preset
  if [ -n "${AHEAD:-}" ]; then wait "$AHEAD" || true; trap - EXIT; AHEAD=""; fi
  for preset in asan tsan; do
    build_tests "$preset" unit simulation
    step "sanitize ($preset)"
    HEARTH_SIMULATION_SEEDS=${HEARTH_SANITIZE_SEEDS:-100} run_binaries "$preset" unit
    HEARTH_SIMULATION_SEEDS=${HEARTH_SANITIZE_SEEDS:-60} run_binaries "$preset" simulation
  done
}

FULL_SIZE=1146880   # kMaxRecordBytes of schemas/limits.h

fuzz_one() {   # fuzz_one NAME FOLDER OPTION…: what it finds goes into the folder
  local name=$1 corpora=("$STATE/fuzz/$2")
  shift 2
  mkdir -p "${corpora[0]}"
  if [ -d "$ROOT/tests/fuzz/corpus/${name#fuzz_}" ]; then corpora+=("$ROOT/tests/fuzz/corpus/${name#fuzz_}"); fi
  # The sanitizer keeps 256 MB of freed memory by default: that is not the decoder's, which -rss_limit_mb is to bound.
  ASAN_OPTIONS="quarantine_size_mb=32:${ASAN_OPTIONS:-}" "$ROOT/build/fuzz/bin/$name" -max_total_time="$seconds" \
    -artifact_prefix="$STATE/fuzz/$name-" "$@" "${corpora[@]}" \
    >> "$LOGS/$name.log" 2>&1
}

ring_fuzz() {
  local seconds=${HEARTH_FUZZ_SECONDS:-3} target name rc targets
  mkdir -p "$LOGS"
  configure fuzz
  mapfile -t targets < <(cd "$ROOT" && cmake --build build/fuzz --target help | sed -n 's/^\(fuzz_[a-z0-9_]*\): .*/\1/p' | sort -u)
  [ ${#targets[@]} -gt 0 ] || { say "   no fuzz targets"; count_result "fuzz targets" 1; return 0; }
  build fuzz "${targets[@]}"
  step "fuzz ($seconds s each)"
  for target in "$ROOT"/build/fuzz/bin/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    rc=0
    # First small and many, then as large as records are: each target judges its own time (tests/fuzz/cost.h).
    : > "$LOGS/$name.log"
    fuzz_one "$name" "$name" -rss_limit_mb=512 -timeout=5 || rc=$?
    [ $rc -ne 0 ] || fuzz_one "$name" "$name-full" -max_len=$FULL_SIZE -len_control=0 -rss_limit_mb=2048 -timeout=60 || rc=$?
    say "   $([ $rc -eq 0 ] && echo pass || echo FAIL)  $name"
    [ $rc -eq 0 ] || { grep -aE 'ERROR|quarantined|^broken' "$LOGS/$name.log" || true; tail -n 40 "$LOGS/$name.log"; } >&2
    count_result "$name" $rc
  done
}

cmd_test() {
  local rings=() ring since
  FILTER=""
  while [ $# -gt 0 ]; do
    case $1 in
      --ring)
        [[ ${2:-} =~ ^(unit|simulation|integration|e2e|docs|compose|sanitize|fuzz|nightly|all)$ ]] || usage_error "test: no ring '${2:-}'"
        rings+=("$2")
        shift 2 ;;
      --filter) FILTER=${2:-}; shift 2 || usage_error "test: --filter what?" ;;
      *) usage_error "test: unknown option $1" ;;
    esac
  done
  [ ${#rings[@]} -gt 0 ] && [ "${rings[0]}" != all ] || rings=(unit simulation integration e2e docs compose sanitize fuzz)
  mkdir -p "$LOGS"
  cmd_setup --dev
  for ring in "${rings[@]}"; do
    if [ "$ring" = integration ] && [[ " ${rings[*]} " == *" sanitize "* ]]; then provide tests-integration; build_ahead; fi
    since=$SECONDS
    "ring_$ring"
    say "   ring $ring: $((SECONDS - since)) s"
  done
  tell_counts
}
tell_counts() {
  if [ ${#FAILURES[@]} -gt 0 ]; then printf 'failed: %s\n' "${FAILURES[@]}" >&2; fi
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  [ "$FAILED" -eq 0 ] && [ ${#FAILURES[@]} -eq 0 ] && [ "$PASSED" -gt 0 ]
}

cmd_lint() {
  local files shells
  mkdir -p "$LOGS"
  SETUP_DEV=1 setup_packages
  cd "$ROOT" || exit
  step "format"
  mapfile -t files < <(git ls-files '*.cc' '*.h')
  clang-format-19 --dry-run --Werror "${files[@]}" || fail "format: clang-format-19 -i FILE mends it"
  step "shellcheck"
  mapfile -t shells < <(git ls-files tools/dev '*.sh' .ci/run compose/stack compose/hearth)
  shellcheck -x "${shells[@]}"
  step "clang-tidy"
  configure tidy   # it reads the compile commands; nothing is compiled
  if [ "${1:-}" != --all ]; then mapfile -t files < <(git diff --name-only HEAD -- '*.cc'; git diff --name-only HEAD~1 -- '*.cc'); fi
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep '\.cc$' | grep -v tests/fuzz | sort -u | while read -r f; do [ -f "$f" ] && echo "$f"; done)
  say "   ${#files[@]} files, $JOBS at a time"
  [ ${#files[@]} -eq 0 ] || printf '%s\0' "${files[@]}" | xargs -0 -P "$JOBS" -n 1 clang-tidy-19 -p build/tidy --quiet
  # Which sources HEARTH_UNITY puts together changes with every new one: those of a target must get on with all others of it.
  step "together"
  configure dev -B build/together -DHEARTH_UNITY=ON -DHEARTH_UNITY_SOURCES=0
  "$PYTHON" "$ROOT/tools/dev.d/together.py" "$ROOT/build/together" "$JOBS" || fail "together: rename what two sources have, or list one of them as APART"
}

machine_logs() {   # where libvirt writes what it started QEMU with
  if is_root; then printf '%s/libvirt/log/qemu' "$STATE"; else printf '%s/libvirt/qemu/log' "${XDG_CACHE_HOME:-$HOME/.cache}"; fi
}

# The functions that benches store themselves.
noop=(--python "$ROOT/examples/noop-python" --native "$ROOT/build/release/examples/echo")

bench_warm() {
  cmd_up
  eval "$(cmd_env)"
  hearth --user bench deploy bench-echo --runtime python3 --handler noop.handler "$ROOT/examples/noop-python"
  hearth --user bench invoke bench-echo --data null --wait 120   # also waits until the daemons know it
  hearth-bench warm --image "$IMAGE" "$@"
}

bench_own_daemons() {   # paths, density: servers of the stack, daemons of the bench's own
  local name=$1 rc=0 was_up=0
  shift
  ! any_runs || was_up=1
  cmd_up --only kafka,libvirtd
  eval "$(cmd_env)"
  local options=(--image "$IMAGE" --bin "$BIN")
  if [ "$name" = paths ]; then options+=("${noop[@]}" --machine-logs "$(machine_logs)"); fi
  hearth-bench "$name" "${options[@]}" "$@" || rc=$?
  [ $was_up -eq 1 ] || cmd_down
  return $rc
}

bench_own_stack() {   # load, flood, batch, chaos: a Kafka of their own too, in a temporary folder, gone afterwards
  local name=$1 options=(--bin "$BIN")
  shift
  UP_OPTIONS=(--only kafka)
  if [[ " $* " == *" --real "* ]]; then
    UP_OPTIONS=(--only "kafka,libvirtd")
    options+=(--image "$IMAGE")
  fi
  # shellcheck disable=SC2016
  in_test_stack bash -c '"$1/hearth-bench" "${@:2}" --broker-pid "$(cut -d" " -f1 "$HEARTH_STATE/pids/kafka")"' \
    bench "$BIN" "$name" "${options[@]}" "$@"
}

bench_peers() {   # what the peers need is installed where that can be done; a Kafka of its own
  mapfile -t MISSING < <(missing_packages "${PEER_PACKAGES[@]}")
  if [ ${#MISSING[@]} -gt 0 ] && { is_root || command -v sudo > /dev/null; }; then
    say "   packages: ${MISSING[*]}"
    run_apt apt-get update -qq
    install_packages
  fi
  UP_OPTIONS=(--only kafka)
  # shellcheck disable=SC2016
  in_test_stack bash -c '"${@:1:2}" --bootstrap "$HEARTH_BOOTSTRAP" "${@:3}"' \
    bench "$PYTHON" "$ROOT/tools/bench/peers/run.py" --bin "$BIN" --cache "$CACHE" "$@"
}

cmd_bench() {
  local name=${1:-}
  [ -n "$name" ] || usage_error "bench: which one? warm, paths, boot, clone, density, link, load, core, flood, batch or peers"
  shift
  [[ $name =~ ^(warm|paths|boot|clone|density|link|load|core|flood|batch|peers)$ ]] || usage_error "bench: no bench '$name'"
  cmd_setup
  case $name in
    load | core | flood | batch) build release programs hearth-bench ;;   # simulated machines have no image
    peers) build release programs hearth-bench hearth-peer-worker ;;
    *) provide hearth-bench ;;
  esac
  case $name in
    warm) bench_warm "$@" ;;
    paths | density) bench_own_daemons "$name" "$@" ;;
    # Under a subreaper libvirt, which is in the bench's own process, hears at once when QEMU ends.
    boot) "$BIN/hearth-subreaper" "$BIN/hearth-bench" boot --image "$IMAGE" "$@" ;;
    clone) "$BIN/hearth-bench" clone --image "$IMAGE" "${noop[@]}" "$@" ;;
    link) "$BIN/hearth-bench" link --image "$IMAGE" "$@" ;;
    flood) if [[ " $* " == *" --real "* ]]; then cmd_image; fi; bench_own_stack "$name" "$@" ;;
    load | batch) bench_own_stack "$name" "$@" ;;
    core) "$BIN/hearth-bench" core "$@" ;;
    peers) bench_peers "$@" ;;
  esac
}

cmd_chaos() {
  cmd_setup
  build release programs hearth-bench
  bench_own_stack chaos --logs "$LOGS/chaos" "$@"
}
