#!/usr/bin/env bash
# Weft - installs a build into a scratch prefix and builds programs against it the ways a user does.
# SPDX-License-Identifier: Apache-2.0
#
# tools/check_install.sh BUILD_DIR [CXX]
#
# The ways: pkg-config, find_package(weft) shared and static, and find_package(workflow), whose users know two
# directories and a library name only. Each program includes every public header of the old names as C++11.
set -eu -o pipefail
build=$(cd "$1" && pwd)
cxx=${2:-g++}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"

for header in "$prefix"/include/workflow/*.h; do
    if ! head -n 1 "$header" | grep -q 'C++20'; then
        printf '#include "workflow/%s"\n' "$(basename "$header")"
    fi
done >"$scratch/every_header.h"
cat >"$scratch/main.cc" <<'END'
#include "every_header.h"
#include <cstdio>
int main() {
    ParsedURI uri;
    int failed = URIParser::parse("http://127.0.0.1:80/a?b", uri);
    printf("%s %s\n", uri.host, uri.path);
    return failed ? 1 : 0;
}
END

mkdir "$scratch/project"
cat >"$scratch/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.13)
project(user CXX)
set(CMAKE_CXX_STANDARD 11)
find_package(weft REQUIRED)
add_executable(shared ../main.cc)
target_link_libraries(shared weft::weft)
add_executable(static ../main.cc)
target_link_libraries(static weft::weft-static)

find_package(workflow REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Threads REQUIRED)
find_library(WORKFLOW_LIBRARY NAMES libworkflow.a workflow HINTS ${WORKFLOW_LIB_DIR})
add_executable(old ../main.cc)
target_include_directories(old PRIVATE ${WORKFLOW_INCLUDE_DIR})
target_link_libraries(old ${WORKFLOW_LIBRARY} OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
END

run() {
    local way=$1
    shift
    if [ "$("$@")" = "127.0.0.1 /a" ]; then
        echo "install: $way works"
    else
        echo "install: a program built with $way does not run"
        exit 1
    fi
}

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046 # the output is a list of arguments
"$cxx" "$scratch/main.cc" -o "$scratch/by_pkg_config" $(pkg-config --cflags --libs weft)
run pkg-config "$scratch/by_pkg_config"
cmake -G Ninja -S "$scratch/project" -B "$scratch/project/build" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_CXX_COMPILER="$cxx" >"$scratch/configure.log"
cmake --build "$scratch/project/build" -j "$(nproc)" >"$scratch/build.log" || {
    cat "$scratch/build.log"
    exit 1
}
run "find_package(weft), shared" "$scratch/project/build/shared"
run "find_package(weft), static" "$scratch/project/build/static"
run "find_package(workflow)" "$scratch/project/build/old"
