#!/usr/bin/env bash
# install.sh: copies what was built to where others find it.
#
# Called by `make install`, which builds first and gives BUILD, PREFIX, DESTDIR
# and VERSION. Installs the programs, cluster.sh as sluice-cluster, libsluice
# (static and shared), sluice.h, sluice.pc and the documents.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${BUILD:=build}" "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${VERSION:?}"
cd "$root"
if [[ $PREFIX != /* ]]; then
    echo "install.sh: PREFIX is a folder from the root on, not '$PREFIX'" >&2
    exit 1
fi
to=$DESTDIR$PREFIX

install -d "$to/bin" "$to/include" "$to/lib/pkgconfig" "$to/share/doc/sluice"
for program in sluice sluice-broker sluice-retriever sluice-tool sluice-analysis sluice-research \
    sluice-cron; do
    install -m 755 "$BUILD/bin/$program" "$to/bin/"
done
install -m 755 deploy/cluster.sh "$to/bin/sluice-cluster"

install -m 644 agents/runtime/sluice.h "$to/include/"
install -m 644 "$BUILD/pkg/libsluice.a" "$to/lib/"
install -m 755 "$BUILD/pkg/libsluice.so" "$to/lib/libsluice.so.$VERSION"
ln -sf "libsluice.so.$VERSION" "$to/lib/libsluice.so.0"
ln -sf libsluice.so.0 "$to/lib/libsluice.so"

msgpack=msgpack
! pkg-config --exists msgpack-c 2>/dev/null || msgpack="msgpack-c"
cat >"$to/lib/pkgconfig/sluice.pc" <<END
prefix=$PREFIX
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: sluice
Description: the C runtime of a sluice peer: submit tasks, serve them
Version: $VERSION
Requires: jansson libuv
Requires.private: libzmq libcurl $msgpack
Cflags: -I"\${includedir}"
Libs: -L"\${libdir}" -lsluice
Libs.private: -lpthread -lm
END

install -m 644 README.md LICENSE proto/PROTOCOL.md docs/*.md "$to/share/doc/sluice/"
if [ -f deploy/sluice.conf.example ]; then
    install -m 644 deploy/sluice.conf.example "$to/share/doc/sluice/"
fi
echo "installed under $to"
[ -n "$DESTDIR" ] || [ "$(id -u)" -ne 0 ] || ldconfig 2>/dev/null || true
if [ -z "$DESTDIR" ] && [ "$PREFIX" != /usr ] && [ "$PREFIX" != /usr/local ]; then
    echo "compilers and programs that use libsluice find it there with:"
    # shellcheck disable=SC2016 # the user's shell expands them
    printf '    export PKG_CONFIG_PATH=%q${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}\n' "$PREFIX/lib/pkgconfig"
    # shellcheck disable=SC2016
    printf '    export LD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n' "$PREFIX/lib"
fi
