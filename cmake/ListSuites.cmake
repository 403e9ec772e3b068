# cmake -DPROGRAM= -DLABEL= -DTIMEOUT= -DENVIRONMENT=A=b|C=d -DOUT= -P ListSuites.cmake: writes the tests of
# langrun_discover_suites.
string(REPLACE "|" ";" environment "${ENVIRONMENT}")
execute_process(COMMAND ${CMAKE_COMMAND} -E env ${environment} ${PROGRAM} --gtest_list_tests
                OUTPUT_VARIABLE listed RESULT_VARIABLE code TIMEOUT 60)
if(code)
  message(FATAL_ERROR "${PROGRAM} --gtest_list_tests ends with ${code}")
endif()
# A suite stands at the start of its line and ends in a point; what a program prints first does not.
string(REGEX MATCHALL "(^|\n)[A-Za-z0-9_/]+\\." suites "${listed}")
set(text "")
foreach(suite ${suites})
  string(STRIP "${suite}" suite)
  string(REGEX REPLACE "\\.$" "" suite "${suite}")
  string(APPEND text "add_test([==[${LABEL}.${suite}]==] [==[${PROGRAM}]==] [==[--gtest_filter=${suite}.*]==])\n"
    "set_tests_properties([==[${LABEL}.${suite}]==] PROPERTIES LABELS ${LABEL} TIMEOUT ${TIMEOUT} ENVIRONMENT [==[${environment}]==])\n")
endforeach()
file(WRITE ${OUT} "${text}")
