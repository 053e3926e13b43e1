# SPDX-License-Identifier: MIT
#
# fluxbp_library: one of our libraries, from its sources to what is installed of it. Each source is compiled once; the
# shared and the static library are made of the same objects.
#
#   fluxbp_library(NAME
#     DESCRIPTION text      what the library is, for pkg-config
#     SOURCES file...
#     HEADERS file...       public headers with their full paths, below a folder include/fluxbp
#     MAP file              the linker's version script: what the shared library exports
#     USES name...          our libraries that its public headers include
#     PUBLIC name...        third-party libraries that its public headers include
#     PRIVATE name...       third-party libraries that only its sources include
#     OBJECTS target...)    object libraries that become a part of it
#
# NAME is fluxbp for the core, and a component of find_package otherwise. For the component server the targets are
# fluxbp_server (shared; fluxbp::server), fluxbp_server_static (fluxbp::server_static), fluxbp_server_objects and, for
# tests of internal functions, fluxbp_server_parts. The library is libfluxbp-server. Third-party libraries are those of
# FluxbpDependencies.cmake.
#
# Which libraries are installed: the shared and the static one. If BUILD_SHARED_LIBS is set, the one that it asks for.
# In a parent project that doesn't set it, the static one, as with every library there. fluxbp::server is the shared
# library if that is one of them.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/FluxbpPkgConfig.cmake)

set(fluxbp_kinds static)
if(DEFINED BUILD_SHARED_LIBS)
  if(BUILD_SHARED_LIBS)
    set(fluxbp_kinds shared)
  endif()
elseif(FLUXBP_IS_TOP_LEVEL)
  set(fluxbp_kinds shared static)
endif()

# Sets RESULT to DIRECTORY relative to the prefix if it lies there, however it was given. Otherwise to the absolute
# path.
function(fluxbp_below_prefix directory result)
  if(IS_ABSOLUTE ${directory})
    file(RELATIVE_PATH relative ${CMAKE_INSTALL_PREFIX} ${directory})
    if(NOT relative MATCHES "^\\.\\.")
      set(directory ${relative})
    endif()
  endif()
  set(${result} ${directory} PARENT_SCOPE)
endfunction()

fluxbp_below_prefix(${CMAKE_INSTALL_LIBDIR} FLUXBP_LIBDIR)
fluxbp_below_prefix(${CMAKE_INSTALL_INCLUDEDIR} FLUXBP_INCLUDEDIR)
set(FLUXBP_PACKAGE_DIR ${FLUXBP_LIBDIR}/cmake/fluxbp)

# Sets TARGET and PACKAGE to the names of a library here and outside: fluxbp_server and fluxbp-server.
function(fluxbp_library_names name target package)
  if(name STREQUAL fluxbp)
    set(${target} fluxbp PARENT_SCOPE)
    set(${package} fluxbp PARENT_SCOPE)
  else()
    set(${target} fluxbp_${name} PARENT_SCOPE)
    set(${package} fluxbp-${name} PARENT_SCOPE)
  endif()
endfunction()

# Adds the archive of a component. It has one object, in which the names are local that the shared library hides: an
# archive has no version script, and a program that links it may have functions of the same names. OBJECTS are files,
# and TARGETS are the targets that make them.
function(fluxbp_add_archive archive package objects targets)
  if(NOT CMAKE_OBJCOPY OR FLUXBP_SANITIZE OR FLUXBP_COVERAGE)
    add_library(${archive} STATIC ${objects})
    return()
  endif()
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${package}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r -o ${object} ${objects}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
    DEPENDS ${objects} ${targets}
    COMMENT "Hiding the internal names of lib${package}.a"
    COMMAND_EXPAND_LISTS VERBATIM)
  set_source_files_properties(${object} PROPERTIES GENERATED ON EXTERNAL_OBJECT ON)
  add_library(${archive} STATIC ${object})
endfunction()

function(fluxbp_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION;MAP" "SOURCES;HEADERS;USES;PUBLIC;PRIVATE;OBJECTS")
  fluxbp_library_names(${name} target package)

  # A third-party library that was built from its sources becomes a part of the library.
  set(private)
  set(built_in)
  set(parts ${arg_OBJECTS})
  foreach(dependency ${arg_PRIVATE})
    if(FLUXBP_${dependency}_OBJECTS)
      list(APPEND built_in ${dependency})
      list(APPEND parts ${FLUXBP_${dependency}_OBJECTS})
    else()
      list(APPEND private ${dependency})
    endif()
  endforeach()
  list(TRANSFORM arg_PUBLIC PREPEND fluxbp::dependency_ OUTPUT_VARIABLE public_targets)
  list(TRANSFORM private PREPEND fluxbp::dependency_ OUTPUT_VARIABLE private_targets)
  list(TRANSFORM built_in PREPEND fluxbp::dependency_ OUTPUT_VARIABLE built_in_targets)

  set(include_dirs ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
  add_library(${target}_objects OBJECT EXCLUDE_FROM_ALL ${arg_SOURCES}) # made if one of the libraries is
  target_compile_definitions(${target}_objects PRIVATE FLUXBP_BUILDING)
  target_include_directories(${target}_objects PRIVATE ${include_dirs} ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(${target}_objects PRIVATE fluxbp_build
    ${public_targets} ${private_targets} ${built_in_targets} Threads::Threads)
  set_target_properties(${target}_objects PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)

  set(objects $<TARGET_OBJECTS:${target}_objects>)
  foreach(other ${parts})
    list(APPEND objects $<TARGET_OBJECTS:${other}>)
  endforeach()
  add_library(${target} SHARED ${objects})
  if(name STREQUAL fluxbp)
    add_library(${target}_static STATIC ${objects}) # all of its names begin with fluxbp
  else()
    fluxbp_add_archive(${target}_static ${package} "${objects}" "${target}_objects;${parts}")

    # What tests link: all names are visible.
    add_library(${target}_parts STATIC EXCLUDE_FROM_ALL ${objects})
    list(TRANSFORM arg_USES REPLACE "^(.+)$" "fluxbp_\\1_parts" OUTPUT_VARIABLE uses)
    list(TRANSFORM uses REPLACE "^fluxbp_fluxbp_parts$" fluxbp_static)
    target_include_directories(${target}_parts PUBLIC ${include_dirs} ${PROJECT_SOURCE_DIR}/lib)
    target_link_libraries(${target}_parts PUBLIC
      ${uses} ${public_targets} ${private_targets} ${built_in_targets} Threads::Threads)
    set_target_properties(${target}_parts PROPERTIES LINKER_LANGUAGE C)
  endif()
  foreach(kind shared static)
    set(suffix)
    if(kind STREQUAL static)
      set(suffix _static)
    endif()
    set(library ${target}${suffix})
    set(uses)
    foreach(name_used ${arg_USES})
      fluxbp_library_names(${name_used} target_used package_used)
      list(APPEND uses ${target_used}${suffix})
    endforeach()
    target_include_directories(${library} PUBLIC
      "$<BUILD_INTERFACE:${include_dirs}>"
      $<INSTALL_INTERFACE:${FLUXBP_INCLUDEDIR}>)
    target_link_libraries(${library} PUBLIC ${uses} ${public_targets} PRIVATE ${private_targets} Threads::Threads)
    set_target_properties(${library} PROPERTIES
      OUTPUT_NAME ${package}
      DEBUG_POSTFIX ""
      EXPORT_NAME ${name}${suffix}
      LINKER_LANGUAGE C)
    if(NOT FLUXBP_TESTS AND NOT (kind IN_LIST fluxbp_kinds AND (FLUXBP_INSTALL OR FLUXBP_IS_TOP_LEVEL)))
      set_target_properties(${library} PROPERTIES EXCLUDE_FROM_ALL ON) # made if something links it
    endif()
  endforeach()
  add_library(fluxbp::${name}_static ALIAS ${target}_static)
  if(shared IN_LIST fluxbp_kinds)
    add_library(fluxbp::${name} ALIAS ${target})
  else()
    add_library(fluxbp::${name} ALIAS ${target}_static)
  endif()

  # The version script says what the shared library exports, by name. A name that nothing defines is an error here, not
  # in the program of a user; sanitizers have such names.
  target_link_options(${target} PRIVATE LINKER:--version-script=${arg_MAP}
    $<$<BOOL:${FLUXBP_LINKER_CHECKS_VERSIONS}>:LINKER:--no-undefined-version>
    $<$<NOT:$<BOOL:${FLUXBP_SANITIZE}>>:LINKER:-z,defs>)
  target_link_libraries(${target} PRIVATE fluxbp_build)
  set_target_properties(${target} PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${FLUXBP_SOVERSION}
    LINK_DEPENDS ${arg_MAP})
  if(arg_USES)
    set_target_properties(${target} PROPERTIES INSTALL_RPATH $ORIGIN) # where the other libraries of ours are installed
  endif()

  # The tests read these.
  set_property(GLOBAL APPEND PROPERTY FLUXBP_LIBRARIES ${target})
  set_target_properties(${target} PROPERTIES FLUXBP_HEADERS "${arg_HEADERS}" FLUXBP_MAP ${arg_MAP})
  if(FLUXBP_INSTALL)
    fluxbp_install_library(${name} "${arg_DESCRIPTION}" "${arg_HEADERS}" "${arg_USES}" "${arg_PUBLIC}" "${private}")
  endif()
endfunction()

# Installs the library, its headers, its files for pkg-config and its part of the CMake package.
function(fluxbp_install_library name description headers uses public private)
  fluxbp_library_names(${name} target package)
  foreach(header ${headers})
    string(REGEX REPLACE "^.*/include/(fluxbp/.*/|fluxbp/)[^/]*$" "\\1" folder ${header})
    install(FILES ${header} DESTINATION ${FLUXBP_INCLUDEDIR}/${folder})
  endforeach()

  # Each kind has an export of its own, so that find_package works after a distribution has removed one of them.
  set(suffix_of_shared)
  set(suffix_of_static _static)
  foreach(kind ${fluxbp_kinds})
    install(TARGETS ${target}${suffix_of_${kind}} EXPORT ${package}-${kind}
      LIBRARY DESTINATION ${FLUXBP_LIBDIR}
      ARCHIVE DESTINATION ${FLUXBP_LIBDIR})
    install(EXPORT ${package}-${kind} NAMESPACE fluxbp:: DESTINATION ${FLUXBP_PACKAGE_DIR})
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/fluxbp-library.cmake.in ${PROJECT_BINARY_DIR}/${package}.cmake @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${package}.cmake DESTINATION ${FLUXBP_PACKAGE_DIR})

  fluxbp_install_pkg_config(${package} "${description}" "${uses}" "${public}" "${private}")
endfunction()
