# langrun_embed(OUT FILE...): a source file with the texts of FILEs, looked up by path from the project's root through
# launch/embedded.h. Made anew whenever one of them changes.
function(langrun_embed out)
  set(arguments ${ARGN})
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DROOT=${CMAKE_SOURCE_DIR} "-DFILES=${arguments}" -P ${CMAKE_SOURCE_DIR}/cmake/EmbedRun.cmake
    DEPENDS ${arguments} ${CMAKE_SOURCE_DIR}/cmake/EmbedRun.cmake VERBATIM)
endfunction()
