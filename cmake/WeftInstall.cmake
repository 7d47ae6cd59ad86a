# Weft - what `cmake --install` puts where: headers, libraries, the CMake packages weft and workflow, pkg-config files.
# SPDX-License-Identifier: Apache-2.0
include(CMakePackageConfigHelpers)

set(cmakedir ${CMAKE_INSTALL_LIBDIR}/cmake)
install(DIRECTORY ${WEFT_ROOT}/include/workflow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.inl")
install(TARGETS weft_static weft_shared EXPORT weft-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT weft-targets NAMESPACE weft:: DESTINATION ${cmakedir}/weft)

configure_package_config_file(${WEFT_ROOT}/cmake/weft-config.cmake.in
    ${CMAKE_CURRENT_BINARY_DIR}/weft-config.cmake INSTALL_DESTINATION ${cmakedir}/weft)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/weft-config-version.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/weft-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/weft-config-version.cmake DESTINATION ${cmakedir}/weft)

# The pkg-config files find their prefix from where they lie, so an installed tree may be moved.
file(RELATIVE_PATH WEFT_PC_TO_PREFIX
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" WEFT_PC_TO_PREFIX "${WEFT_PC_TO_PREFIX}")
configure_file(${WEFT_ROOT}/cmake/weft.pc.in ${CMAKE_CURRENT_BINARY_DIR}/weft.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/weft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Programs that look for `workflow` find Weft under that name: the same files, through links and a package of variables.
set(WEFT_COMPAT_VERSION 1.0.1)
configure_package_config_file(${WEFT_ROOT}/cmake/workflow-config.cmake.in
    ${CMAKE_CURRENT_BINARY_DIR}/workflow-config.cmake INSTALL_DESTINATION ${cmakedir}/workflow
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/workflow-config-version.cmake
    VERSION ${WEFT_COMPAT_VERSION} COMPATIBILITY AnyNewerVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/workflow-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/workflow-config-version.cmake
        DESTINATION ${cmakedir}/workflow)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/links)
foreach(suffix a so)
    file(CREATE_LINK libweft.${suffix} ${CMAKE_CURRENT_BINARY_DIR}/links/libworkflow.${suffix} SYMBOLIC)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/links/libworkflow.${suffix}
            DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
