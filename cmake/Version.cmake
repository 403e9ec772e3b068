# Writes OUT from TEMPLATE with the present commit of SOURCE, and touches it only where that changed.
find_package(Git QUIET)
set(LANGRUN_COMMIT unknown)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --dirty --abbrev=12 --exclude=* WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
  if(NOT failed)
    set(LANGRUN_COMMIT ${commit})
  endif()
endif()
configure_file(${TEMPLATE} ${OUT} @ONLY)
