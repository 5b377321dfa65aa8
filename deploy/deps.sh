#!/usr/bin/env bash
# deps.sh: is everything here that sluice needs, and if not, get it.
#
#   deploy/deps.sh --check SET    silent; 0: all of it is here
#   deploy/deps.sh SET            installs what is missing
#   deploy/deps.sh manuals DIR    puts libzmq's manual pages into DIR
#
# SET: build, test, dev, or what a benchmark needs: floor, guard, report, bench
#
# What is needed is asked of the system (pkg-config, commands, files), not of
# the package manager: a library built by hand is as good as a package. Only
# what is missing is installed, with apt-get, as root or through sudo. On a
# system without apt-get it prints what to install and stops.
set -euo pipefail

# One line for each need: what proves it is here, and its package on Debian
# and Ubuntu. `a|b` means either: names differ between releases.
needs_build='
cmd:gcc                 gcc
file:/usr/include/stdio.h  libc6-dev
cmd:make                make
cmd:pkg-config          pkg-config
pc:libzmq               libzmq3-dev
pc:libczmq              libczmq-dev
pc:msgpack-c|msgpack    libmsgpack-dev|libmsgpack-c-dev
pc:libcurl              libcurl4-openssl-dev
pc:libuv                libuv1-dev
pc:jansson              libjansson-dev
pc:sqlite3              libsqlite3-dev
pc:libxml-2.0           libxml2-dev
pc:zlib                 zlib1g-dev
pc:libsystemd           libsystemd-dev
pc:libsodium            libsodium-dev
cmd:pdftotext           poppler-utils
file:/etc/ssl/certs/ca-certificates.crt|/etc/pki/tls/certs/ca-bundle.crt|/etc/ssl/cert.pem  ca-certificates
file:/usr/share/zoneinfo/Europe/Berlin  tzdata
'
needs_test="$needs_build
pc:cmocka               libcmocka-dev
file:/usr/bin/python3   python3
py:zmq                  python3-zmq
py:msgpack              python3-msgpack
cmd:faketime            faketime
cmd:clang               clang
file:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a|/usr/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a  libclang-rt-dev|libclang-rt-14-dev
"

# For `make bench`; for `make bench-guard` valgrind; for `make bench-report` gnuplot; and for
# `make bench-peers`, the brokers that it measures too.
needs_floor="$needs_build
file:/usr/bin/python3   python3
"
needs_guard='
cmd:valgrind            valgrind
'
needs_report="$needs_floor
cmd:gnuplot             gnuplot-nox
"
needs_bench="$needs_report$needs_guard
cmd:nats-server|/usr/sbin/nats-server  nats-server
pc:libnats              libnats-dev
file:/usr/lib/rabbitmq/bin/rabbitmq-server  rabbitmq-server
pc:librabbitmq          librabbitmq-dev
cmd:redis-server        redis-server
pc:hiredis              libhiredis-dev
cmd:gearmand|/usr/sbin/gearmand  gearman-job-server
pc:gearmand|libgearman  libgearman-dev
cmd:beanstalkd          beanstalkd
"

# needs SET: its lines. `dev` is `test` and what checks this project's scripts and costs.
needs() {
    case $1 in
        build) printf '%s' "$needs_build" ;;
        floor) printf '%s' "$needs_floor" ;;
        guard) printf '%s' "$needs_floor$needs_guard" ;;
        report) printf '%s' "$needs_report" ;;
        bench) printf '%s' "$needs_bench" ;;
        test) printf '%s' "$needs_test" ;;
        dev) printf '%s' "$needs_test${needs_guard}cmd:shellcheck shellcheck" ;;
    esac
}

say() { printf 'deps: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

usage() {
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# is_here PROBE: true if any of its alternatives is.
is_here() {
    local kind=${1%%:*} item
    local -a items
    IFS='|' read -ra items <<<"${1#*:}"
    for item in "${items[@]}"; do
        case $kind in
            cmd) command -v "$item" >/dev/null 2>&1 && return 0 ;;
            file) compgen -G "$item" >/dev/null && return 0 ;; # may be a pattern
            pc) pkg-config --exists "$item" >/dev/null 2>&1 && return 0 ;;
            py) /usr/bin/python3 -c "import $item" >/dev/null 2>&1 && return 0 ;;
        esac
    done
    return 1
}

# list_missing SET: the packages of SET whose probe fails, one a line.
list_missing() {
    local probe package
    while read -r probe package; do
        [ -n "$probe" ] || continue
        is_here "$probe" || printf '%s\n' "$package"
    done <<<"$(needs "$1")"
}

# has_package NAME: true if apt knows a version of it that it can install.
has_package() {
    apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# pick_package A|B: the first that apt has; the first of all if it has none.
pick_package() {
    local name
    local -a names
    IFS='|' read -ra names <<<"$1"
    for name in "${names[@]}"; do
        if has_package "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    printf '%s\n' "${names[0]}"
}

# How to become root: prints nothing when we are, "sudo" (with -n when there is
# nobody to type a password) when it will do, and fails otherwise.
find_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null 2>&1 || return 1
    if sudo -n true >/dev/null 2>&1; then
        echo "sudo -n"
    elif [ -t 0 ] && [ -z "${CI:-}" ]; then
        echo "sudo"
    else
        return 1
    fi
}

log=
trap '[ -z "$log" ] || rm -f "$log"' EXIT

# apt ARGS...: apt-get that asks nothing and waits for another apt-get to end.
apt() {
    # shellcheck disable=SC2086 # empty, or a command and its option
    $root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get -y -qq \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" \
        </dev/null >>"$log" 2>&1
}

apt_failed() {
    say "$1; the end of what apt-get said:"
    tail -n 20 "$log" | sed 's/^/    /' >&2
    exit 1
}

install_missing() {
    local wanted known package try
    local -a packages=()

    wanted=$(list_missing "$1")
    [ -n "$wanted" ] || return 0

    if ! command -v apt-get >/dev/null 2>&1; then
        say "this is neither Debian nor Ubuntu; please install what these Debian packages hold, and run it again:"
        # shellcheck disable=SC2086 # one word a package
        printf '    %s\n' $wanted >&2
        exit 1
    fi
    if ! root=$(find_root); then
        say "packages are missing, and this user is neither root nor can use sudo. Please run, as root:"
        # shellcheck disable=SC2086
        printf '    apt-get install %s\n' "$(for package in $wanted; do pick_package "$package"; done | paste -sd' ')" >&2
        exit 1
    fi
    log=$(mktemp)

    # Fresh images have no package lists; a machine in use need not fetch them again.
    known=yes
    for package in $wanted; do
        has_package "$(pick_package "$package")" || known=no
    done
    if [ $known = no ]; then
        say "fetching the package lists"
        apt update || apt_failed "cannot fetch the package lists (is there a network?)"
    fi
    for package in $wanted; do
        packages+=("$(pick_package "$package")")
    done
    say "installing ${packages[*]}"
    for try in 1 2 3; do
        apt install --no-install-recommends "${packages[@]}" && break
        [ "$try" -lt 3 ] || apt_failed "cannot install ${packages[*]}"
        # The usual cause is lists older than the archive they describe.
        say "that failed; fetching the package lists and trying again"
        apt update || true
    done

    wanted=$(list_missing "$1")
    [ -z "$wanted" ] || die "installed, and yet not found: $(paste -sd' ' <<<"$wanted")"
}

# fetch_manuals DIR: the zmq_* pages of libzmq3-dev. Images made small drop
# /usr/share/man from every package they install; the package still has them.
fetch_manuals() {
    local dir=$1 from=/usr/share/man scratch

    mkdir -p "$dir"
    ! compgen -G "$dir/zmq_socket.*" >/dev/null || return 0
    if ! compgen -G "$from/man3/zmq_socket.*" >/dev/null; then
        command -v apt-get >/dev/null 2>&1 || die "libzmq's manual pages (zmq_socket.3 ...) are not installed"
        say "libzmq's manual pages are not on this system; unpacking them from its package"
        scratch=$(mktemp -d)
        log=$(mktemp)
        chmod 755 "$scratch" # apt-get downloads as a user of its own
        (cd "$scratch" && apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root \
            download libzmq3-dev </dev/null >>"$log" 2>&1) ||
            { rm -rf "$scratch"; apt_failed "cannot download libzmq3-dev"; }
        dpkg-deb -x "$scratch"/libzmq3-dev_*.deb "$scratch/root" ||
            { rm -rf "$scratch"; die "cannot unpack libzmq3-dev"; }
        from=$scratch/root/usr/share/man
    fi
    cp -L "$from"/man3/zmq_*.3* "$from"/man7/zmq_*.7* "$dir/"
    [ -z "${scratch:-}" ] || rm -rf "$scratch"
}

root=
case ${1:-} in
    --check)
        [ -n "$(needs "${2:-}")" ] || usage
        [ -z "$(list_missing "$2")" ]
        ;;
    manuals) [ -n "${2:-}" ] || usage; fetch_manuals "$2" ;;
    *)
        [ -n "$(needs "${1:-}")" ] || usage
        install_missing "$1"
        ;;
esac
