# shellcheck shell=bash disable=SC2153
# demo: from nothing to a first reply. What can run beside each other does: downloads beside compiling, and the image
# and the servers beside the rest of compiling.

DEMO=$STATE/demo

# The steps that run beside each other, each when those are done that it needs. demo_NAME does it.
DEMO_STEPS=(agent jars fetch image servers programs)
declare -A DEMO_NEEDS=([agent]="" [jars]="" [fetch]="" [image]="agent fetch" [servers]="agent jars" [programs]="agent")
declare -A DEMO_TITLE=(
  [download]="download Debian's packages" [install]="install Debian's packages"
  [jars]="download Kafka's jars" [fetch]="download the image's packages"
  [agent]="compile the guest's agent" [programs]="compile the programs" [image]="make the guest's image"
  [servers]="start Kafka, Redis and libvirt" [daemons]="start dispatcher and executor" [invoke]="deploy and invoke"
)
# Seconds on two quiet cores, as `demo --timings` measured them; what is left is told from these.
declare -A DEMO_SECONDS=([agent]=20 [programs]=110 [daemons]=15 [invoke]=6)
DEMO_POOL_SECONDS=30   # how long the first request may wait for a machine to take
DEMO_TELL_SECONDS=10    # how often a line says how far it is

# Free space that a first demo needs, in MiB, beside what packages need (apt says that itself).
DEMO_BUILD_MIB=500
DEMO_CACHE_MIB=400
DEMO_STATE_MIB=500

declare -A DEMO_FROM DEMO_TO DEMO_JOB
DEMO_ORDER=()

now_us() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

demo_begins() { DEMO_FROM[$1]=$(now_us); DEMO_ORDER+=("$1"); }
demo_timed() {   # demo_timed STEP COMMAND…: in the foreground
  local step=$1
  shift
  demo_begins "$step"
  "$@"
  DEMO_TO[$step]=$(now_us)
}

demo_agent() {
  configure release
  demo_ninja hearth-agent hearth-subreaper
}
demo_programs() { demo_ninja programs; }
demo_ninja() { (cd "$ROOT" && NINJA_STATUS='[%f/%t] ' cmake --build build/release -j "$JOBS" --target "$@"); }
demo_jars() { RENEW_LOCK=0 setup_kafka; }
demo_fetch() { "$ROOT/guest/image/build.sh" --fetch-only --out "$IMAGE" --cache "$CACHE/packages"; }
# shellcheck disable=SC2119
demo_image() { cmd_image; }
demo_servers() { cmd_up --only "kafka,redis,libvirtd"; }

demo_start() {   # demo_start STEP: in a process group of its own, which can be ended whole
  local step=$1
  rm -f "$DEMO/$step.end"
  demo_begins "$step"
  say "   begins: ${DEMO_TITLE[$step]}"
  set -m
  (
    set +e
    trap - EXIT
    (set -e; "demo_$step") > "$LOGS/demo-$step.log" 2>&1 < /dev/null
    code=$?
    printf '%s %s\n' $code "$(now_us)" > "$DEMO/$step.new"
    mv "$DEMO/$step.new" "$DEMO/$step.end"
  ) &
  DEMO_JOB[$step]=$!
  set +m
}

demo_look() {   # demo_look STEP: notes that a step has ended, if it has
  local step=$1 code end
  [ -n "${DEMO_JOB[$step]:-}" ] && [ -z "${DEMO_TO[$step]:-}" ] || return 0
  if [ -f "$DEMO/$step.end" ]; then
    read -r code end < "$DEMO/$step.end"
  elif kill -0 "${DEMO_JOB[$step]}" 2> /dev/null; then
    return 0
  elif [ -f "$DEMO/$step.end" ]; then   # between the two looks
    read -r code end < "$DEMO/$step.end"
  else
    code=1 end=$(now_us)
  fi
  DEMO_TO[$step]=$end
  if [ "$code" -ne 0 ]; then demo_failed "$step"; fi
  say "   done:   ${DEMO_TITLE[$step]} ($(((end - DEMO_FROM[$step]) / 1000000)) s)"
}

demo_failed() {
  local log=$LOGS/demo-$1.log
  tail -n 20 "$log" >&2
  [ "$1" = servers ] || explain "$log"   # Kafka's own words would mislead
  fail "'${DEMO_TITLE[$1]}' failed; its output: $log.
   What was finished stays finished: tools/dev demo goes on from there."
}

demo_seconds_left() {   # of what is compiled, and all that comes after it
  local step left=0 spent done_ all
  for step in agent programs daemons invoke; do
    [ -z "${DEMO_TO[$step]:-}" ] || continue
    spent=0
    [ -z "${DEMO_FROM[$step]:-}" ] || spent=$((($(now_us) - DEMO_FROM[$step]) / 1000000))
    read -r done_ all < <(demo_progress "$step")
    if [ "$step" = programs ] && [ "${done_:-0}" -ge 3 ]; then
      left=$((left + spent * (all - done_) / done_))
    elif [ $((DEMO_SECONDS[$step] - spent)) -gt 1 ]; then
      left=$((left + DEMO_SECONDS[$step] - spent))
    else
      left=$((left + 1))
    fi
  done
  printf '%s' "$left"
}
demo_progress() {   # demo_progress STEP: "DONE ALL" of its ninja, where it has one
  [ ! -f "$LOGS/demo-$1.log" ] || sed -n 's/^\[\([0-9]*\)\/\([0-9]*\)\] .*/\1 \2/p' "$LOGS/demo-$1.log" | tail -n 1
}

demo_tell() {
  local step words=() progress after=""
  for step in "${DEMO_STEPS[@]}"; do
    if [ -z "${DEMO_FROM[$step]:-}" ] || [ -n "${DEMO_TO[$step]:-}" ]; then continue; fi
    progress=$(demo_progress "$step")
    if [[ ${DEMO_TITLE[$step]} == download* ]]; then after="then "; fi
    words+=("${DEMO_TITLE[$step]}${progress:+ (${progress/ / of })}")
  done
  [ ${#words[@]} -eq 0 ] || say "   $(IFS=';'; printf '%s' "${words[*]}" | sed 's/;/; /g'): ${after}about $(demo_seconds_left) s until the first reply"
}

demo_beside() {   # all steps of DEMO_STEPS
  local step need ready told=$SECONDS open=${#DEMO_STEPS[@]}
  while [ "$open" -gt 0 ]; do
    open=0
    for step in "${DEMO_STEPS[@]}"; do
      demo_look "$step"
      [ -z "${DEMO_TO[$step]:-}" ] || continue
      open=$((open + 1))
      [ -z "${DEMO_FROM[$step]:-}" ] || continue
      ready=1
      for need in ${DEMO_NEEDS[$step]}; do [ -n "${DEMO_TO[$need]:-}" ] || ready=0; done
      if [ $ready -eq 1 ]; then demo_start "$step"; fi
    done
    if [ $((SECONDS - told)) -ge $DEMO_TELL_SECONDS ]; then demo_tell; told=$SECONDS; fi
    [ "$open" -eq 0 ] || sleep 0.1
  done
}

# However it ends: no step goes on, and a stack that was not up before and is not whole is not up afterwards.
demo_end() {
  local code=$? step
  trap - EXIT INT TERM
  for step in "${!DEMO_JOB[@]}"; do
    [ -n "${DEMO_TO[$step]:-}" ] || kill -TERM -- "-${DEMO_JOB[$step]}" 2> /dev/null || true
  done
  if [ "$code" -ne 0 ] && [ "$DEMO_WAS_UP" = 0 ]; then
    for step in "${!DEMO_JOB[@]}"; do wait "${DEMO_JOB[$step]}" 2> /dev/null || true; done
    if [ -d "$PIDS" ] && any_runs; then cmd_down; fi
  fi
  exit "$code"
}

demo_timings() {
  local step kind
  for step in "${DEMO_ORDER[@]}"; do
    kind=work
    case $step in download | jars | fetch) kind=download ;; esac
    printf '%s\t%s\t%s\t%s\n' "$kind" "${DEMO_FROM[$step]}" "${DEMO_TO[$step]}" "${DEMO_TITLE[$step]}"
  done | "$PYTHON" "$ROOT/tools/dev.d/timings.py" "$1" "$2"
}

demo_alone() {   # one demo of a state folder at a time; what an earlier one left running holds the lock too
  exec {DEMO_LOCK}> "$STATE/demo.lock"
  flock -n "$DEMO_LOCK" || fail "another tools/dev demo works in $STATE. Wait for it, or end it: its processes are
   $(find /proc/[0-9]*/fd -lname "$STATE/demo.lock" 2> /dev/null | cut -d/ -f3 | sort -nu | grep -vx $$ | tr '\n' ' ')"
}

demo_daemons() {
  cmd_up
  eval "$(cmd_env)"
  # An executor is ready once it has a shell; what the first request is to take is a machine.
  wait_for $DEMO_POOL_SECONDS "a machine in the pool" demo_pool_has_one || true
}
demo_pool_has_one() { curl -sf "$HEARTH_EXECUTOR_HTTP/metrics" | grep -q '^hearth_executor_pool{.*kind="ready".*} [1-9]'; }

demo_first_reply() {   # the deployments and the invocation that ends with the first reply
  step "deploy"
  hearth deploy hello --runtime python3 --handler hello.handler "$ROOT/examples/hello-python"
  hearth deploy echo --runtime native --handler echo "$ROOT/build/release/examples/echo"
  step "invoke with hearth"
  say "   the first request of a user takes a machine from the pool:"
  hearth invoke hello --data '{"name": "Ada"}'
}

cmd_demo() {
  local timings=0 began reply run
  began=$(now_us)
  case ${1:-} in
    "") ;;
    --timings) timings=1 ;;
    *) usage_error "demo: unknown option $1" ;;
  esac
  mkdir -p "$LOGS" "$DEMO" "$CACHE"
  demo_alone
  need_space "$ROOT" $DEMO_BUILD_MIB "what is compiled" "clone hearth to"
  need_space "$CACHE" $DEMO_CACHE_MIB "downloads and the image" "set HEARTH_CACHE to a folder on"
  need_space "$STATE" $DEMO_STATE_MIB "Kafka's data and templates" "set HEARTH_STATE to a folder on"
  step "setup"
  demo_timed download download_packages
  demo_timed install install_packages
  setup_users
  DEMO_WAS_UP=0
  if any_runs; then DEMO_WAS_UP=1; fi
  trap demo_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  step "build, image and servers, beside each other"
  demo_beside
  demo_timed daemons demo_daemons
  export HEARTH_USER=alice
  demo_timed invoke demo_first_reply
  reply=$(now_us)
  trap - EXIT INT TERM
  say "   the next finds its container:"
  hearth invoke hello --data '{"name": "Grace"}'
  hearth invoke echo --data 'a native function'
  step "invoke with kcat"
  run=$(date +%s)
  demo_kcat "demo-$run-1" hello '{"name": "kcat"}'
  demo_kcat "demo-$run-2" echo 'bytes from kcat'
  step "who is warm"
  hearth ps
  cat >&2 <<TXT

Look further:
  eval "\$(tools/dev env)"                           # addresses for tools of your own, hearth in the PATH
  hearth invoke hello --user alice --data '{"name":"you"}'
  kcat -C -b \$HEARTH_BOOTSTRAP -t hearth.reply -o beginning -e -f '%k %h %s\n'
  curl \$HEARTH_DISPATCHER_HTTP/metrics ; curl \$HEARTH_EXECUTOR_HTTP/readyz
  virsh -c "\$HEARTH_LIBVIRT_URI" list               # the machines
  tools/dev logs executor-1 ; tools/dev down
TXT
  if [ $timings -eq 1 ]; then
    step "timings"
    demo_timings "$began" "$reply"
  fi
}

show_reply() {   # kcat's headers, one a line
  tr ',' '\n' | grep -E '^hearth-(status|start-path|received-us|placed-us|leased-us|started-us|ended-us)=' | sed 's/^/     /'
}

demo_kcat() {   # demo_kcat ID FUNCTION PAYLOAD: a request and its reply with nothing but kcat
  local id=$1 function=$2 payload=$3 found=""
  say "   \$ kcat -P -t hearth.invoke.std -k alice -H hearth-fn=$function -H hearth-user=alice -H hearth-id=$id"
  printf '%s' "$payload" | kcat -P -b "$HEARTH_BOOTSTRAP" -t hearth.invoke.std -k alice \
    -H "hearth-fn=$function" -H hearth-user=alice -H "hearth-id=$id"
  local deadline=$((SECONDS + 30))
  while [ -z "$found" ] && [ $SECONDS -lt $deadline ]; do
    found=$(kcat -C -q -e -b "$HEARTH_BOOTSTRAP" -t hearth.reply -o beginning -f '%k|%h|%s\n' | grep "^$id|" | tail -n 1 || true)
  done
  [ -n "$found" ] || fail "no reply to $id on hearth.reply in 30 s; see tools/dev logs"
  printf '     %s\n' "$(cut -d'|' -f3- <<< "$found")"
  cut -d'|' -f2 <<< "$found" | show_reply
}
