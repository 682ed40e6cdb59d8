# Warnings, sanitizers, packages, and the two functions by which every folder declares its targets.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
foreach(package rdkafka hiredis libvirt libvirt-qemu libuv libmicrohttpd libcurl pugixml libarchive libseccomp jemalloc)
  string(TOUPPER ${package} prefix)
  string(REPLACE "-" "_" prefix ${prefix})
  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${package})
endforeach()
find_library(CSV_LIBRARY csv REQUIRED)  # libcsv says nothing to pkg-config

# Decided when a build folder is made: one that was begun without ccache is not compiled anew when ccache is installed.
find_program(ccache ccache)
set(launcher "")
if(ccache)
  set(launcher ccache)
endif()
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER_LAUNCHER "${launcher}" CACHE STRING "What starts the compiler")
endforeach()

add_library(hearth_options INTERFACE)
target_include_directories(hearth_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(hearth_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_compile_definitions(hearth_options INTERFACE MSGPACK_NO_BOOST SPDLOG_FMT_EXTERNAL TOML_EXCEPTIONS=0)
# What makes a fault in C or C++ harder to use; hardening_test reads the programs for it. Sanitizers and fuzzers do not
# agree with all of it, so their builds go without. Fortified calls need an optimizer. -fcf-protection is not there: it
# takes effect only where every object is marked, and Debian 12's C library is not.
set(HEARTH_HARDENED OFF)
if(HEARTH_SANITIZE)
  target_compile_options(hearth_options INTERFACE -fsanitize=${HEARTH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(hearth_options INTERFACE -fsanitize=${HEARTH_SANITIZE})
elseif(NOT HEARTH_FUZZ)
  set(HEARTH_HARDENED ON)
  target_compile_options(hearth_options INTERFACE -fPIE -fstack-protector-strong -fstack-clash-protection
    $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>)
  target_link_options(hearth_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

# The allocator of programs that carry every record (docs/adr/0011-the-daemons-allocator.md). Sanitizers have their own.
add_library(hearth_allocator INTERFACE)
if(NOT HEARTH_SANITIZE)
  target_link_libraries(hearth_allocator INTERFACE PkgConfig::JEMALLOC)
endif()

# The sources of a target, several at a time in one. Most of a compilation's time goes into instantiating the same
# templates for every source; this does it once for many. For whoever compiles once: after an edit more is compiled again.
option(HEARTH_UNITY "Compile the sources of a target together" OFF)
set(HEARTH_UNITY_SOURCES 12 CACHE STRING "How many at a time; 0: all")
function(hearth_unity target)
  cmake_parse_arguments(ARG "" "" "APART" ${ARGN})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${HEARTH_UNITY} UNITY_BUILD_BATCH_SIZE ${HEARTH_UNITY_SOURCES})
  if(ARG_APART)
    set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# hearth_library(NAME SOURCES … APART … LIBRARIES …): a static library of this project. APART: those of the sources that
# have names for themselves which others have too, so that they cannot be compiled together with them.
function(hearth_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;APART;LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC hearth_options ${ARG_LIBRARIES})
  hearth_unity(${name} APART ${ARG_APART})
endfunction()

# hearth_program(NAME [STATIC] SOURCES … APART … LIBRARIES …): an executable in bin/; static where nothing else is around it.
function(hearth_program name)
  cmake_parse_arguments(ARG "STATIC" "" "SOURCES;APART;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE hearth_options ${ARG_LIBRARIES})
  hearth_unity(${name} APART ${ARG_APART})
  if(ARG_STATIC AND HEARTH_HARDENED)
    target_link_options(${name} PRIVATE -static-pie)
  elseif(ARG_STATIC)
    target_link_options(${name} PRIVATE -static)
  elseif(HEARTH_HARDENED)
    target_link_options(${name} PRIVATE -pie)
  endif()
endfunction()

# hearth_test(NAME RING unit|simulation|integration [ONE_THREAD] SOURCES … APART … LIBRARIES …): a GoogleTest binary,
# labelled by its ring. ONE_THREAD: nothing of it starts a thread, so ThreadSanitizer has nothing to look at.
function(hearth_test name)
  cmake_parse_arguments(ARG "ONE_THREAD" "RING" "SOURCES;APART;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE hearth_options GTest::gtest GTest::gmock GTest::gtest_main ${ARG_LIBRARIES})
  hearth_unity(${name} APART ${ARG_APART})
  if(NOT TARGET tests-${ARG_RING})
    add_custom_target(tests-${ARG_RING})
  endif()
  add_dependencies(tests-${ARG_RING} ${name})
  add_test(NAME ${name} COMMAND ${name})
  set(labels ${ARG_RING})
  if(ARG_ONE_THREAD)
    list(APPEND labels one_thread)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}")
endfunction()
