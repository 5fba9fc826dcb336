# advisor_library(NAME SOURCES ... DEPS ...): a static library of ours, with our warnings and include root.
function(advisor_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  advisor_warnings(${name})
endfunction()

# advisor_binary(NAME SOURCES ... DEPS ...): a program of ours; all programs land in <build>/bin.
function(advisor_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  advisor_warnings(${name})
endfunction()

# advisor_test(NAME [TSAN] SOURCES ... DEPS ...): one GoogleTest program registered with ctest as NAME.
# TSAN: also run under ThreadSanitizer; only for programs that link no gRPC, whose package is not instrumented.
function(advisor_test name)
  cmake_parse_arguments(ARG "TSAN" "" "SOURCES;DEPS;ENV;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  advisor_warnings(${name})
  add_test(NAME ${name} COMMAND ${name})
  set(timeout 300)
  if(ADVISOR_SANITIZE)
    set(timeout 1200)
    # What is freed lies in quarantine; with its default of 256 MB no test that bounds memory could hold.
    list(APPEND ARG_ENV "ASAN_OPTIONS=quarantine_size_mb=64")
  endif()
  # ADVISOR_TRACES and ADVISOR_CHECKER come from the caller's environment (scripts/test sets them).
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} ENVIRONMENT
    "ADVISOR_SOURCE_DIR=${PROJECT_SOURCE_DIR};ADVISOR_BIN_DIR=${PROJECT_BINARY_DIR}/bin;${ARG_ENV}"
    # ctest would say Skipped of a program that fails as well, so the list of skipped tests must be the last thing it prints:
    # GoogleTest lists failed ones behind it.
    SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\] [0-9]+ tests?, listed below:\n(\\[  SKIPPED \\] [^\n]*\n?)+$")
  if(ARG_TSAN)
    list(APPEND ARG_LABELS tsan)
    if(NOT TARGET tsan_tests)
      add_custom_target(tsan_tests)
    endif()
    add_dependencies(tsan_tests ${name})
  endif()
  if(ARG_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
  endif()
endfunction()
