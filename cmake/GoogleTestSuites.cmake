# langrun_discover_suites(program label timeout [environment...]): one CTest test for each suite of a GoogleTest program,
# so that its cases share one start of the program: loading LibTorch takes longer than most of them. launch/test counts
# cases.
function(langrun_discover_suites program label timeout)
  set(list ${CMAKE_CURRENT_BINARY_DIR}/${program}_suites.cmake)
  list(JOIN ARGN "|" environment)
  add_custom_command(TARGET ${program} POST_BUILD BYPRODUCTS ${list} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DLABEL=${label} -DTIMEOUT=${timeout}
            "-DENVIRONMENT=${environment}" -DOUT=${list} -P ${CMAKE_SOURCE_DIR}/cmake/ListSuites.cmake)
  # Before the program is built there is no list; a test that is not there fails then.
  set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/${program}_suites_or_none.cmake)
  file(WRITE ${wrapper} "if(EXISTS \"${list}\")\n  include(\"${list}\")\nelse()\n  add_test(${label}.not_built ${program})\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${wrapper})
endfunction()
