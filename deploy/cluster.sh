#!/usr/bin/env bash
# cluster.sh: a whole cluster on this machine: a broker and its agents.
#
#   cluster.sh up [--docs DIR]... [--retriever N] [--tool N] [--analysis N] [--research N]
#                 [--cron FILE [--cron-state FILE]] [--broker ENDPOINT] [--config FILE]
#                 [--no-broker [--prefix NAME]] [--state DIR | --no-store] [--wait SECONDS]
#   cluster.sh down [--keep-logs]
#   cluster.sh status
#   cluster.sh logs [NAME] [-f]
#   cluster.sh scale ROLE=N...
#   cluster.sh restart NAME|ROLE...
#
# Every command takes --run DIR (or $SLUICE_RUN): where pid files and logs are;
# default $XDG_RUNTIME_DIR/sluice, else /tmp/sluice-UID.
#
# Durable tasks outlive `down`: the broker's store is in --state DIR (or
# $SLUICE_STATE; default $XDG_STATE_HOME/sluice, else ~/.local/state/sluice), in
# a file named for its endpoint. --no-store: without one.
#
# --no-broker: agents for the broker of another machine, which knows them as
# NAME-tool-1 and so on; without --prefix that is the name of this machine.
#
# `up` again starts only what is missing; `down` leaves nothing behind. Each
# process has a supervisor, a shell that starts it again when it ends, after
# 0.2 s, doubled each time up to 30 s, and from the start again once it has run
# for a minute.
#
# A process is known by its pid and the time it started, so that a pid which
# the kernel has given to somebody else is never signalled.
set -euo pipefail
shopt -s nullglob

self=$(readlink -f "${BASH_SOURCE[0]}")
root=$(dirname "$(dirname "$self")")
me=${0##*/} # installed: sluice-cluster

roles=(retriever tool analysis research cron)
member='(broker|(retriever|tool|analysis|research|cron)-[1-9][0-9]*)'
default_broker=tcp://127.0.0.1:5570
slow=${SLUICE_SLOW:-1}
ready_s=$((120 * ${slow%.*}))        # longest wait until all serve; a retriever reads its documents first
patience_s=3                         # then who waits is told for what
lock_s=60
broker_grace_s=2                     # how long a broker may drain before it is told twice
agent_grace_s=12                     # an agent ends its running tasks within 10 s
backoff_ms=200
backoff_max_ms=30000
steady_s=60                          # having run so long, a crash is the first again
prefix_max=50                        # a peer's name has 64 bytes: PREFIX-retriever-999
look_s=5                             # how often a supervisor looks whether its run directory is there
log_bytes_max=$((16 * 1024 * 1024))  # a larger log is moved to NAME.log.1 at the next start

say() { printf '%s\n' "$*"; }
complain() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { complain "$*"; exit 1; }

help() {
    local text indent
    text=$(sed -n '4,21s/^# \{0,1\}//p' "$self")
    printf -v indent '%*s' ${#me} ''
    text=${text//$'\n            '/$'\n  '"$indent"}
    say "${text//cluster.sh/"$me"}"
}

usage() {
    help >&2
    exit 2
}

# ---- processes ---------------------------------------------------------------

# start_of PID: when it started, in clock ticks since boot; fails if it does not
# run (a zombie does not). proc(5): field 22, 20th after "pid (name) ".
start_of() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086 # fields are words
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "$1" != X ] && printf '%s\n' "${20}"
}

# runs PID START: true if that very process still runs.
runs() {
    [ "${1:-0}" -gt 0 ] && [ -n "$2" ] && [ "$(start_of "$1" || true)" = "$2" ]
}

# ---- the run directory ----------------------------------------------------------
#   cluster.conf   what `up` was asked for
#   lock           held by up, down, scale, restart
#   NAME.state     written by NAME's supervisor, gone when it ends
#   NAME.log       what NAME says

find_run() {
    run=${run:-${SLUICE_RUN:-}}
    if [ -z "$run" ]; then
        if [ -n "${XDG_RUNTIME_DIR:-}" ] && [ -w "$XDG_RUNTIME_DIR" ]; then
            run=$XDG_RUNTIME_DIR/sluice
        else
            run=/tmp/sluice-$UID
        fi
    fi
    [[ $run = /* ]] || run=$PWD/$run
}

open_run() {
    mkdir -p "$(dirname "$run")"
    [ -d "$run" ] || mkdir -m 700 "$run"
    # /tmp is everybody's: a directory that somebody else made is not ours.
    if [ ! -O "$run" ] || [ -L "$run" ]; then
        die "$run belongs to somebody else; choose another with --run DIR"
    fi
}

# list_ours ENDING: the files of members, by a pattern of what follows their names. The folder may be
# that of somebody else, or have files of others in it.
list_ours() {
    local file
    for file in "$run"/*; do
        [[ ! ${file##*/} =~ ^$member\.($1)$ ]] || say "${file##*/}"
    done
}

# has_settings: true if a cluster's are here. Other programs have a cluster.conf, too.
has_settings() {
    grep -qs '^own_broker=' "$run/cluster.conf"
}

# check_free: a folder that is no cluster's becomes one's only if it is empty, but for logs of ours.
check_free() {
    local file
    [ ! -f "$run/lock" ] && ! has_settings || return 0
    for file in "$run"/* "$run"/.[!.]* "$run"/..?*; do
        [[ ${file##*/} =~ ^$member\.(log|log\.[0-9]+|state)$ ]] ||
            die "$run has files of others, as ${file##*/}; choose another with --run DIR"
    done
}

lock_run() {
    exec 9>>"$run/lock" # >> because it might be a file of somebody else
    flock -w $patience_s 9 && return
    complain "waiting for another $me that works on $run (at most $lock_s s)"
    flock -w $lock_s 9 || die "another $me works on $run"
}

declare -A want=()
docs=()
broker=
config=
cron_file=
cron_state=
own_broker=yes
prefix= # of the names that the broker knows
store= # a path; `none`; or empty: the configuration has one

load_settings() {
    local key value
    has_settings || return 0
    while IFS='=' read -r key value; do
        case $key in
            broker) broker=$value ;;
            config) config=$value ;;
            cron_file) cron_file=$value ;;
            cron_state) cron_state=$value ;;
            own_broker) own_broker=$value ;;
            prefix) prefix=$value ;;
            store) store=$value ;;
            docs) docs+=("$value") ;;
            *) want[$key]=$value ;;
        esac
    done <"$run/cluster.conf"
}

save_settings() {
    local item
    {
        printf '%s\n' "broker=$broker" "config=$config" "own_broker=$own_broker" "prefix=$prefix" \
            "store=$store" "cron_file=$cron_file" "cron_state=$cron_state"
        for item in ${docs[@]+"${docs[@]}"}; do printf 'docs=%s\n' "$item"; done
        for item in "${roles[@]}"; do printf '%s=%s\n' "$item" "${want[$item]:-0}"; done
    } >"$run/cluster.conf.new"
    mv -f "$run/cluster.conf.new" "$run/cluster.conf"
}

# list_members: every name the cluster should have, the broker first.
list_members() {
    local role i
    [ "$own_broker" = no ] || say broker
    for role in "${roles[@]}"; do
        for ((i = 1; i <= ${want[$role]:-0}; i++)); do say "$role-$i"; done
    done
}

# list_started: every name that has a supervisor, or had one that was killed.
list_started() {
    local file
    for file in $(list_ours state); do say "${file%.state}"; done
}

# read_member NAME: fills m_*; false if it was never started. m_state is what is
# true now: running, backoff, or gone (a dead supervisor).
read_member() {
    local key first second
    m_supervisor=0 m_supervisor_start='' m_child=0 m_child_start='' m_state=gone m_restarts=0 m_since=0 m_status=''
    [ -f "$run/$1.state" ] || return 1
    while read -r key first second; do
        case $key in
            supervisor) m_supervisor=$first m_supervisor_start=$second ;;
            child) m_child=$first m_child_start=$second ;;
            state) m_state=$first ;;
            restarts) m_restarts=$first ;;
            since) m_since=$first ;;
            status) m_status=$first ;;
        esac
    done <"$run/$1.state"
    runs "$m_supervisor" "$m_supervisor_start" || m_state=gone
}

# ---- the supervisor: one for each process, this script started again -----------------

# write_state STATE: replaces the member's file in one step.
write_state() {
    printf '%s\n' "supervisor $$ $own_start" "child $child $child_start" "state $1" \
        "restarts $restarts" "since $(printf '%(%s)T' -1)" "status $status" >"$run/$name.state.new"
    mv -f "$run/$name.state.new" "$run/$name.state"
}

# is_recorded: true while the run directory knows us. It vanishes with $XDG_RUNTIME_DIR when its user logs
# out, and another cluster may be in its place by now: then nobody could find us, to stop us.
is_recorded() {
    local pid
    { read -r _ pid _ <"$run/$name.state"; } 2>/dev/null && [ "$pid" = $$ ]
}

# wait_child: until it ends, with its status, or we are to stop.
wait_child() {
    local ended
    while [ -z "$stopping" ]; do
        if [ -z "$nap" ]; then
            sleep $look_s &
            nap=$!
        fi
        status=0 ended=$child
        if runs "$child" "$child_start"; then
            { wait -n -p ended "$child" "$nap"; } 2>/dev/null || status=$? # bash would add a line of its own
        else
            { wait "$child"; } 2>/dev/null || status=$?
        fi
        if [ "${ended:-}" = "$child" ]; then
            break
        elif [ "${ended:-}" = "$nap" ]; then
            nap=
            is_recorded || stopping=yes
        fi
    done
    if [ -n "$nap" ]; then
        kill "$nap" 2>/dev/null || true
        { wait "$nap"; } 2>/dev/null || true
        nap=
    fi
}

# end_child: waits for a child that was told to end; tells it twice, then kills it.
end_child() {
    local second=$((SECONDS + grace_s)) told=
    while runs "$child" "$child_start"; do
        if [ -z "$told" ] && ((SECONDS >= second)); then
            told=yes
            kill -TERM "$child" 2>/dev/null || true
        elif ((SECONDS >= second + 5)); then
            kill -KILL "$child" 2>/dev/null || true
        fi
        sleep 0.05
    done
    wait "$child" 2>/dev/null || true
}

# supervise NAME COMMAND...: until SIGTERM, or until the run directory has gone.
supervise() {
    name=$1
    shift
    own_start=$(start_of $$)
    child=0 child_start='' restarts=0 status=0
    local stopping='' started nap='' delay_ms=$backoff_ms
    grace_s=$agent_grace_s
    [ "$name" != broker ] || grace_s=$broker_grace_s

    trap 'stopping=yes; ((child == 0)) || kill -TERM "$child" 2>/dev/null; [ -z "$nap" ] || kill "$nap" 2>/dev/null' TERM
    while [ -z "$stopping" ]; do
        if [ -f "$run/$name.log" ] && (($(stat -c %s "$run/$name.log") > log_bytes_max)); then
            mv -f "$run/$name.log" "$run/$name.log.1"
        fi
        "$@" >>"$run/$name.log" 2>&1 </dev/null &
        child=$! started=$SECONDS
        child_start=$(start_of "$child" || true)
        write_state running || is_recorded || stopping=yes
        wait_child
        if [ -n "$stopping" ]; then
            # The signal may have come before there was a child to pass it to.
            kill -TERM "$child" 2>/dev/null || true
            end_child
            break
        fi
        child=0 child_start='' restarts=$((restarts + 1))
        is_recorded || break
        ((SECONDS - started < steady_s)) || delay_ms=$backoff_ms
        printf 'cluster: %s ended with status %d, starting it again in %d ms\n' "$name" "$status" "$delay_ms" \
            >>"$run/$name.log"
        write_state backoff
        sleep "$((delay_ms / 1000)).$(printf '%03d' $((delay_ms % 1000)))" &
        nap=$!
        [ -z "$stopping" ] || kill "$nap" 2>/dev/null || true
        wait "$nap" || true
        nap=
        is_recorded || break
        delay_ms=$((delay_ms * 2 < backoff_max_ms ? delay_ms * 2 : backoff_max_ms))
    done
    ! is_recorded || rm -f "$run/$name.state" "$run/$name.state.new"
}

# ---- starting, stopping, asking ----------------------------------------------------

# find_program NAME: built here, beside us, or on the PATH.
find_program() {
    local dir
    for dir in "${SLUICE_BIN:-}" "$root/${BUILD:-build}/bin" "${BUILD:-}/bin" "$(dirname "$self")"; do
        if [ -n "$dir" ] && [ -x "$dir/$1" ]; then
            say "$dir/$1"
            return
        fi
    done
    command -v "$1" || die "no program $1; run make first, or set SLUICE_BIN to where it is"
}

# peer_name NAME: what the broker knows it as. At a broker for several machines each has a tool-1.
peer_name() {
    say "${prefix:+$prefix-}$1"
}

# start_member NAME: starts its supervisor unless it has one.
start_member() {
    local name=$1 command item
    if read_member "$name" && [ "$m_state" != gone ]; then
        return 0
    fi
    stop_orphan "$name"
    command=("$(find_program "sluice-${name%-*}")") || exit 1
    if [ "$name" = broker ]; then
        command+=(--endpoint "$broker")
        [ -z "$config" ] || command+=(--config "$config")
        [[ $store != /* ]] || command+=(--store "$store")
    else
        command+=(--broker "$broker" --name "$(peer_name "$name")")
    fi
    if [ "${name%-*}" = retriever ]; then
        for item in "${docs[@]}"; do command+=(--docs "$item"); done
    elif [ "${name%-*}" = cron ]; then
        [ -z "$cron_file" ] || command+=(--config "$cron_file")
        # What tasks bring is kept by one of them; the others run the file.
        [ -z "$cron_state" ] || [ "$name" != cron-1 ] || command+=(--state "$cron_state")
    fi
    log_start[$name]=$(stat -c %s "$run/$name.log" 2>/dev/null || echo 0)
    # 9 is the lock: a supervisor outlives us and must not hold it.
    SLUICE_RUN=$run setsid "$self" --supervise "$name" "${command[@]}" \
        >>"$run/$name.log" 2>&1 </dev/null 9>&- &
    disown
    started+=("$name")
}
started=()
declare -A log_start=()

# stop_orphan NAME: ends a process whose supervisor was killed.
stop_orphan() {
    if read_member "$1" && [ "$m_state" = gone ]; then
        child=$m_child child_start=$m_child_start grace_s=$agent_grace_s
        if runs "$child" "$child_start"; then
            kill -TERM "$child" 2>/dev/null || true
            end_child
        fi
        rm -f "$run/$1.state"
    fi
}

# stop_members NAME...: tells all of them to end, then waits for each.
stop_members() {
    local name end patience=$((SECONDS + patience_s))
    for name; do
        if read_member "$name" && [ "$m_state" != gone ]; then
            kill -TERM "$m_supervisor" 2>/dev/null || true
        fi
    done
    for name; do
        read_member "$name" || continue
        # Its supervisor kills what does not end, so this ends, unless somebody stopped the
        # supervisor itself.
        end=$((SECONDS + agent_grace_s + 10))
        while runs "$m_supervisor" "$m_supervisor_start"; do
            ((SECONDS < end)) || kill -KILL "$m_supervisor" 2>/dev/null || true
            if ((patience > 0 && SECONDS >= patience)); then
                complain "waiting for $name to end (at most $((end - SECONDS)) s)"
                patience=0
            fi
            sleep 0.05
        done
        stop_orphan "$name"
    done
}

# show_log NAME: the end of what it said since we started it.
show_log() {
    complain "the end of $run/$1.log:"
    # Its supervisor does not know yet that we give up.
    tail -c "+$((${log_start[$1]:-0} + 1))" "$run/$1.log" 2>/dev/null | tail -n 20 |
        sed '/^cluster: .*, starting it again in/d; s/^/    /' >&2
}

# check_started: fails if something that was started here has ended.
check_started() {
    local name
    for name in ${started[@]+"${started[@]}"}; do
        read_member "$name" || continue
        if ((m_restarts > 0)) || [ "$m_state" = gone ]; then
            complain "$name has ended (status ${m_status:-unknown})"
            show_log "$name"
            return 1
        fi
    done
}

ask() {
    "$sluice" "$@" --broker "$broker" </dev/null
}

# wait_broker: until it answers. It must be ours: one that was there before on
# the same port answers too, and then ours says that it cannot bind.
wait_broker() {
    local end=$((SECONDS + ready_s)) patience=$((SECONDS + patience_s)) answer=0 reason=
    # 2: the endpoint is none, which waiting does not mend.
    while ((SECONDS < end && answer != 2)); do
        check_started || return 1
        if [ -z "${log_start[broker]:-}" ] ||
            tail -c "+$((log_start[broker] + 1))" "$run/broker.log" 2>/dev/null |
            grep -q broker_started; then
            answer=0
            reason=$(ask stats 2>&1 >/dev/null) || answer=$?
            ((answer != 0)) || return 0
            reason=$(sed -n 's/^sluice[^:]*: //p' <<<"$reason")
        fi
        if ((patience > 0 && SECONDS >= patience)); then
            complain "waiting for the broker at $broker (at most $ready_s s)${reason:+: $reason}"
            patience=0
        fi
        sleep 0.05
    done
    complain "${reason:-no broker answers at $broker}"
    [ "$own_broker" = no ] || show_log broker
    return 1
}

# list_absent NAME...: those that the broker does not list as serving something.
# `sluice peers` prints a peer's name first, and its offers in a column of that name.
list_absent() {
    local name listed
    listed=$(ask peers 2>/dev/null || true)
    for name; do
        awk -v name="$(peer_name "$name")" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "OFFERS") offers = i }
                $1 == name && $offers + 0 > 0 { found = 1 } END { exit !found }' <<<"$listed" ||
            say "$name"
    done
}

# wait_agents NAME...: until the broker lists all of them.
wait_agents() {
    local end=$((SECONDS + ready_s)) patience=$((SECONDS + patience_s)) absent name
    while ((SECONDS < end)); do
        check_started || return 1
        absent=$(list_absent "$@")
        [ -n "$absent" ] || return 0
        if ((patience > 0 && SECONDS >= patience)); then
            complain "waiting for $(paste -sd' ' <<<"$absent") (at most $ready_s s)"
            patience=0
        fi
        sleep 0.05
    done
    for name in $absent; do
        complain "$name does not serve anything at $broker after $ready_s s; more time: --wait SECONDS"
        show_log "$name"
    done
    return 1
}

# start_all: what is missing; on failure stops again what was started here.
start_all() {
    local name members
    local -a agents=()
    mapfile -t members < <(list_members)
    for name in "${members[@]}"; do
        [ "$name" = broker ] || agents+=("$name")
    done
    if { [ "$own_broker" = no ] || start_member broker; } && wait_broker; then
        for name in ${agents[@]+"${agents[@]}"}; do start_member "$name"; done
        [ ${#agents[@]} -eq 0 ] || ! wait_agents "${agents[@]}" || return 0
        [ ${#agents[@]} -gt 0 ] || return 0
    fi
    [ ${#started[@]} -eq 0 ] || stop_members "${started[@]}"
    return 1
}

# ---- commands ------------------------------------------------------------------

check_count() {
    [[ $2 =~ ^[0-9]{1,3}$ ]] || die "$1 is a number from 0 to 999, not '$2'"
}

need_value() {
    [ -n "${2:-}" ] || die "$1 needs a value"
}

cmd_up() {
    local role default program asked_broker='' asked_config='' asked_own=yes asked_prefix=''
    local asked_cron='' asked_state='' asked_store='' fresh=yes
    local -A asked=()
    local -a asked_docs=()
    while [ $# -gt 0 ]; do
        case $1 in
            --docs)
                need_value "$@"
                [ -d "$2" ] || die "--docs: no such folder: $2"
                asked_docs+=("$(readlink -e "$2")")
                shift
                ;;
            --retriever | --tool | --analysis | --research)
                need_value "$@"
                check_count "$1" "$2"
                asked[${1#--}]=$((10#$2))
                shift
                ;;
            --cron) need_value "$@"; asked_cron=$(readlink -e "$2") || die "--cron: no such file: $2"; shift ;;
            --cron-state) need_value "$@"; asked_state=$(readlink -m "$2"); shift ;;
            --broker) need_value "$@"; asked_broker=$2; shift ;;
            --config) need_value "$@"; asked_config=$(readlink -e "$2") || die "--config: no such file: $2"; shift ;;
            --no-broker) asked_own=no ;;
            --prefix)
                need_value "$@"
                [[ $2 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ && ${#2} -le prefix_max ]] ||
                    die "--prefix is letters, digits, '.', '_' and '-', at most $prefix_max, not '$2'"
                asked_prefix=$2
                shift
                ;;
            --state) need_value "$@"; asked_store=$(readlink -m "$2"); shift ;;
            --no-store) asked_store=none ;;
            --wait)
                need_value "$@"
                [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || die "--wait is a number of seconds, not '$2'"
                ready_s=$2
                shift
                ;;
            *) complain "up does not know '$1'"; usage ;;
        esac
        shift
    done
    sluice=$(find_program sluice) || exit 1
    if [ -n "$asked_config" ]; then
        program=$(find_program sluice-broker) || exit 1
        "$program" --check-config --config "$asked_config" >/dev/null || exit 1
    fi
    [ $asked_own = yes ] || [ -z "$asked_config" ] || die "--config is for a broker; --no-broker is without one"
    [[ $asked_own = yes || $asked_store != /* ]] || die "--state is for a broker; --no-broker is without one"
    open_run
    check_free
    lock_run
    ! has_settings || fresh=no
    load_settings
    choose_broker "$asked_broker" "$asked_config" $asked_own $fresh
    choose_prefix "$asked_prefix" $fresh
    choose_store "$asked_store" $fresh
    [ -z "$asked_cron$asked_state" ] || asked[cron]=1
    for role in "${roles[@]}"; do
        default=1
        [ "$role" != cron ] || default=0 # somebody has to say what it plans
        [ $fresh = no ] || want[$role]=${asked[$role]:-$default}
        # Again: only adds what is missing. Fewer is what `scale` is for.
        if ((${asked[$role]:-0} > ${want[$role]:-0})); then
            want[$role]=${asked[$role]}
        elif [ "$role" != cron ] && ((${asked[$role]:-${want[$role]:-0}} < ${want[$role]:-0})); then
            say "$role stays at ${want[$role]}; \`scale $role=${asked[$role]}\` for fewer"
        fi
    done
    add_docs ${asked_docs[@]+"${asked_docs[@]}"}
    set_cron "${asked_cron:-$cron_file}" "${asked_state:-$cron_state}"
    save_settings
    trap 'complain "still starting; \`down\` takes it away"; exit 130' INT
    if ! start_all; then
        [ $fresh = no ] || clean_run
        exit 1
    fi
    restart_members ${outdated[@]+"${outdated[@]}"}
    say "the cluster is up: $(list_members | paste -sd' '); broker $broker"
    [ -z "$prefix" ] || say "the broker knows them as $prefix-NAME"
    [ "$broker" = "$default_broker" ] || printf 'export SLUICE_BROKER=%q   # for the sluice command\n' "$broker"
}

# choose_broker ENDPOINT CONFIG OWN FRESH: what was asked for. A cluster that is up keeps what it has.
choose_broker() {
    local first="take it down first, or use another --run DIR"
    if [ "$4" = yes ]; then
        broker=${1:-${SLUICE_BROKER:-$default_broker}} config=$2 own_broker=$3
        return
    fi
    [ -z "$1" ] || [ "$1" = "$broker" ] || die "this cluster's broker is at $broker; $first"
    [ -z "$2" ] || [ "$2" = "$config" ] ||
        die "this cluster's broker has ${config:-no file} as its configuration; $first"
    [ "$3" = yes ] || [ "$own_broker" = no ] || die "this cluster has a broker of its own; $first"
}

# choose_prefix NAME FRESH: a broker of our own has agents of this machine only, and needs none.
choose_prefix() {
    if [ "$2" = no ]; then
        [ -z "$1" ] || [ "$1" = "$prefix" ] ||
            die "this cluster's agents are called ${prefix:+$prefix-}NAME; take it down first"
        return
    fi
    prefix=$1
    if [ "$own_broker" = no ] && [ -z "$prefix" ]; then
        prefix=${HOSTNAME//[^A-Za-z0-9._-]/_}
        prefix=${prefix:0:prefix_max}
    fi
}

# choose_store DIR|none|'' FRESH: where the broker keeps durable tasks. By the endpoint it is found
# again when the cluster has been down, and no other cluster has it.
choose_store() {
    local dir=$1 name=${broker/:\/\//-}
    if [ "$own_broker" = no ]; then
        [[ $dir != /* ]] || die "this cluster has no broker of its own, which would have a store"
        store=none
        return
    elif [ "$2" = no ] && [ -z "$1" ]; then
        return
    elif [ -z "$dir" ] && [ -n "$config" ] && grep -q '^ *store *=' "$config"; then
        store=
        return
    elif [ -z "$dir" ] && [ -n "${SLUICE_STATE:-}" ]; then
        dir=$(readlink -m "$SLUICE_STATE")
    elif [ -z "$dir" ]; then
        [ -n "${XDG_STATE_HOME:-${HOME:-}}" ] || die "where are durable tasks to be kept? --state DIR, or --no-store"
        dir=${XDG_STATE_HOME:-$HOME/.local/state}/sluice
    fi
    [ "$dir" = none ] || dir=$dir/${name//[^A-Za-z0-9.-]/_}.db
    [ "$2" = yes ] || [ "$store" = "$dir" ] ||
        die "this cluster's store is ${store:-that of $config}; take it down first"
    store=$dir
    [ "$store" = none ] || (umask 077 && mkdir -p "$(dirname "$store")") ||
        die "cannot make the folder of $store"
}

# list_role ROLE: all of it that has been started.
list_role() {
    local name
    for name in $(list_started); do
        [ "${name%-*}" != "$1" ] || say "$name"
    done
}

# restart_members NAME...: one after the other; the rest of a role goes on serving.
restart_members() {
    local name
    for name; do
        started=()
        stop_members "$name"
        start_all || exit 1
        say "$name has been restarted"
    done
}

# set_cron FILE STATE: what the cron agents plan, which they read at their start. A file that they
# would not read is refused while they still run with the old one.
set_cron() {
    local program
    local -a running
    if [ "$1" != "$cron_file" ] || [ "$2" != "$cron_state" ]; then
        if [ -n "$1" ]; then
            program=$(find_program sluice-cron) || exit 1
            "$program" --check --config "$1" >/dev/null || exit 1
        fi
        cron_file=$1 cron_state=$2
        mapfile -t running < <(list_role cron)
        stop_members ${running[@]+"${running[@]}"}
    fi
}

# check_cron: every cron agent but the one with the state needs the file.
check_cron() {
    local without=0
    [ -z "$cron_state" ] || without=1
    [ -n "$cron_file" ] || ((${want[cron]:-0} <= without)) || die "cron has nothing to plan: up --cron FILE"
}

# add_docs DIR...: more folders for the retrievers, which read them at their start.
add_docs() {
    local dir have changed=no
    for dir; do
        for have in ${docs[@]+"${docs[@]}"}; do
            [ "$have" != "$dir" ] || continue 2
        done
        docs+=("$dir")
        changed=yes
    done
    if [ ${#docs[@]} -eq 0 ] && ((${want[retriever]:-0} > 0)); then
        # Of an installed one, or of the repository.
        for dir in "$root/share/doc/sluice" "$root/docs"; do
            [ ${#docs[@]} -gt 0 ] || [ ! -d "$dir" ] || docs=("$dir")
        done
        [ ${#docs[@]} -gt 0 ] || die "a retriever needs documents: --docs DIR"
    fi
    if [ $changed = yes ]; then
        mapfile -t outdated < <(list_role retriever)
    fi
}
outdated=() # agents that have read less than they should

# clean_run: removes our files, and the directory if nothing else is in it.
clean_run() {
    local socket=${broker#ipc://} file
    for file in $(list_ours 'state|state\.new'); do rm -f "$run/$file"; done
    rm -f "$run/cluster.conf" "$run/cluster.conf.new" "$run/lock"
    if [ "${keep_logs:-no}" = no ]; then
        for file in $(list_ours 'log|log\.[0-9]+'); do rm -f "$run/$file"; done
    fi
    # A broker that was killed leaves its socket file.
    [ "$broker" = "$socket" ] || [ "$own_broker" = no ] || [ ! -S "$socket" ] || rm -f "$socket"
    [ "${keep_logs:-no}" = yes ] || rmdir "$run" 2>/dev/null || true
}

cmd_down() {
    local name
    local -a agents=()
    keep_logs=no
    [ "${1:-}" != --keep-logs ] || { keep_logs=yes; shift; }
    [ $# -eq 0 ] || usage
    if [ -f "$run/lock" ] || has_settings || [ -n "$(list_started)" ]; then
        open_run
        lock_run # an `up` may be about to make one
    fi
    if ! has_settings && [ -z "$(list_started)" ]; then
        say "no cluster runs in $run"
        return
    fi
    load_settings
    # Agents first: they end what they run and say so to the broker.
    for name in $(list_started); do
        [ "$name" = broker ] || agents+=("$name")
    done
    [ ${#agents[@]} -eq 0 ] || stop_members "${agents[@]}"
    stop_members broker
    clean_run
    say "the cluster is down"
    [ ! -f "$store" ] || say "durable tasks are in $store"
}

cmd_status() {
    local name bad=0 age
    [ $# -eq 0 ] || usage
    if ! has_settings; then
        say "no cluster runs in $run"
        exit 3
    fi
    load_settings
    printf '%-14s %-9s %8s %9s %9s\n' NAME STATE PID RESTARTS SECONDS
    for name in $( { list_members; list_started; } | sort -u); do
        read_member "$name" || m_state=stopped
        [ "$m_state" = running ] || bad=1
        age=$(($(printf '%(%s)T' -1) - m_since))
        ((m_since > 0)) || age=-
        printf '%-14s %-9s %8s %9d %9s\n' "$name" "$m_state" "$m_child" "$m_restarts" "$age"
    done
    sluice=$(find_program sluice) || exit 1
    if ask stats >/dev/null 2>&1; then
        say "the broker answers at $broker"
        [ ! -f "$store" ] || say "durable tasks are in $store"
    else
        say "no broker answers at $broker"
        bad=1
    fi
    return $bad
}

cmd_logs() {
    local follow='' arg
    local -a files=()
    for arg; do
        case $arg in
            -f) follow=-F ;;
            -*) usage ;;
            *)
                files=("$run/$arg.log" "$run/$arg"-[0-9]*.log)
                [ -f "${files[0]}" ] || files=("${files[@]:1}")
                [ ${#files[@]} -gt 0 ] || die "no log of '$arg' in $run"
                ;;
        esac
    done
    if [ ${#files[@]} -eq 0 ]; then
        for arg in $(list_ours log); do files+=("$run/$arg"); done
    fi
    [ ${#files[@]} -gt 0 ] || die "no logs in $run"
    # One log is shown whole, several by their ends.
    if [ ${#files[@]} -eq 1 ] && [ -z "$follow" ]; then
        cat "${files[0]}"
    else
        exec tail -n 20 $follow "${files[@]}"
    fi
}

# open_cluster: for commands that change a cluster which is up.
open_cluster() {
    has_settings || die "no cluster runs in $run"
    open_run
    lock_run
    load_settings
    sluice=$(find_program sluice) || exit 1
}

cmd_scale() {
    local arg role name
    local -a surplus=()
    [ $# -gt 0 ] || usage
    open_cluster
    for arg; do
        role=${arg%%=*}
        if [[ " ${roles[*]} " != *" $role "* ]] || [ "$arg" = "$role" ]; then
            die "'$arg' is not ROLE=N; roles: ${roles[*]}"
        fi
        check_count "$role" "${arg#*=}"
        want[$role]=$((10#${arg#*=}))
    done
    check_cron
    add_docs
    for name in $(list_started); do
        role=${name%-*}
        [ "$name" = broker ] || ((${name##*-} <= ${want[$role]:-0})) || surplus+=("$name")
    done
    [ ${#surplus[@]} -eq 0 ] || stop_members "${surplus[@]}"
    save_settings
    start_all || exit 1
    say "the cluster is up: $(list_members | paste -sd' ')"
}

cmd_restart() {
    local arg name found
    [ $# -gt 0 ] || usage
    open_cluster
    for arg; do
        found=no
        for name in $(list_members); do
            if [ "$name" = "$arg" ] || [ "${name%-*}" = "$arg" ]; then
                found=yes
                restart_members "$name"
            fi
        done
        [ $found = yes ] || die "nothing here is called '$arg'; there are: $(list_members | paste -sd' ')"
    done
}

# ---- main ----------------------------------------------------------------------------

if [ "${1:-}" = --supervise ]; then
    run=$SLUICE_RUN
    shift
    supervise "$@"
    exit 0
fi

run=
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --run) need_value "$@"; run=$2; shift 2 ;;
        *) arguments+=("$1"); shift ;;
    esac
done
set -- ${arguments[@]+"${arguments[@]}"}
find_run
verb=${1:-}
[ -z "$verb" ] || shift
case $verb in
    up | down | status | logs | scale | restart) "cmd_$verb" "$@" ;;
    help | --help | -h) help ;;
    '') usage ;;
    *) complain "there is no command '$verb'"; usage ;;
esac
