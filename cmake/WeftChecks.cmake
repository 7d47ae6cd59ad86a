# Weft - tests that look at the source tree itself: public headers alone, programs of the docs, the checker's own tests
# SPDX-License-Identifier: Apache-2.0

# Flags of a sanitizer change nothing here, so the plain builds alone ask.
if(NOT WEFT_SANITIZE OR WEFT_FUZZ)
    file(GLOB headers CONFIGURE_DEPENDS ${WEFT_ROOT}/include/workflow/*.h)
    if(headers)
        add_test(NAME headers COMMAND ${Python3_EXECUTABLE} ${WEFT_ROOT}/tools/check_headers.py
            --include ${WEFT_ROOT}/include --cxx ${CMAKE_CXX_COMPILER} --cc ${CMAKE_C_COMPILER}
            --out ${CMAKE_BINARY_DIR}/headers)
        set_tests_properties(headers PROPERTIES LABELS headers TIMEOUT 600)
    endif()
endif()
if(NOT WEFT_SANITIZE)
    # The programs that the documentation shows.
    add_test(NAME docs_examples COMMAND ${Python3_EXECUTABLE} ${WEFT_ROOT}/tools/check_docs.py)
    set_tests_properties(docs_examples PROPERTIES LABELS tools TIMEOUT 600)
    add_test(NAME tidy_rules COMMAND ${Python3_EXECUTABLE} ${WEFT_ROOT}/tools/tidy_test.py)
    set_tests_properties(tidy_rules PROPERTIES LABELS tools)
endif()
