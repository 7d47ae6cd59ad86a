# Weft - compiler flags: languages, warnings, sanitizers, ccache. Everything of ours is compiled with weft_flags.
# SPDX-License-Identifier: Apache-2.0

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
if(NOT CMAKE_CXX_STANDARD OR CMAKE_CXX_STANDARD LESS 20)
    set(CMAKE_CXX_STANDARD 20)
endif()
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Weft's own build types mean: Debug is optimized enough for tests to be quick, Release can still be profiled.
if(PROJECT_IS_TOP_LEVEL)
    if(NOT CMAKE_BUILD_TYPE)
        set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
    endif()
    foreach(lang C CXX)
        set(CMAKE_${lang}_FLAGS_DEBUG "-O1 -g")
        set(CMAKE_${lang}_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
    endforeach()
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
    set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
endif()

# Paths inside objects are relative to the source tree: no machine's path is shipped, and two clones share one ccache.
find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE AND PROJECT_IS_TOP_LEVEL)
    set(launcher env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true ${WEFT_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

add_library(weft_flags INTERFACE)
target_compile_options(weft_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion
    -fno-omit-frame-pointer
    -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=
    # Nobody replaces single functions of the library, so they may be inlined within their file.
    $<$<CONFIG:Release>:-fno-semantic-interposition>)
# g++ defines this itself. The empty value lets a file that can be compiled alone say the same without a warning.
target_compile_definitions(weft_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)
if(WEFT_WERROR)
    target_compile_options(weft_flags INTERFACE -Werror)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # g++ leaves sign conversions out of -Wconversion in C++; so do we.
    target_compile_options(weft_flags INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-sign-conversion> -Wthread-safety)
endif()

set(WEFT_SANITIZE_FLAGS "")
if(WEFT_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "WEFT_FUZZ needs clang: use the preset 'clang'")
    endif()
    if(WEFT_SANITIZE STREQUAL "")
        set(WEFT_SANITIZE "address,undefined")
    endif()
    list(APPEND WEFT_SANITIZE_FLAGS -fsanitize=fuzzer-no-link)
endif()
if(WEFT_SANITIZE)
    list(APPEND WEFT_SANITIZE_FLAGS -fsanitize=${WEFT_SANITIZE} -fno-sanitize-recover=all)
    if(WEFT_SANITIZE MATCHES "undefined")
        # It reads memory through a pipe, and calls every object invalid in a process without free descriptors, which
        # is what the tests of descriptor exhaustion make.
        list(APPEND WEFT_SANITIZE_FLAGS -fno-sanitize=vptr)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Instrumentation confuses these flow analyses of gcc; the dev and release builds hold them as errors.
        list(APPEND WEFT_SANITIZE_FLAGS
            -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
            -Wno-nonnull -Wno-null-dereference)
    endif()
endif()
target_compile_options(weft_flags INTERFACE ${WEFT_SANITIZE_FLAGS})
add_link_options(${WEFT_SANITIZE_FLAGS})

# What a test runs under. halt_on_error makes the first finding end the test with a failure.
find_program(WEFT_SYMBOLIZER NAMES llvm-symbolizer-16 llvm-symbolizer)
set(WEFT_TEST_ENVIRONMENT
    "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:strict_string_checks=1:check_initialization_order=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${CMAKE_CURRENT_LIST_DIR}/tsan.supp")
if(WEFT_SYMBOLIZER AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    list(APPEND WEFT_TEST_ENVIRONMENT "ASAN_SYMBOLIZER_PATH=${WEFT_SYMBOLIZER}")
endif()

# ThreadSanitizer of gcc 12 cannot live with the wide address randomization of newer Linux: without it, where allowed.
set(WEFT_TEST_RUNNER "")
if(WEFT_SANITIZE STREQUAL "thread")
    find_program(WEFT_SETARCH setarch)
    if(WEFT_SETARCH)
        execute_process(COMMAND ${WEFT_SETARCH} -R true RESULT_VARIABLE refused
                        OUTPUT_QUIET ERROR_QUIET)
        if(NOT refused)
            set(WEFT_TEST_RUNNER ${WEFT_SETARCH} -R)
        endif()
    endif()
endif()
