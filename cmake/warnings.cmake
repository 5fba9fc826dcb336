# advisor_warnings(TARGET): the warnings our own code is held to; packaged headers are exempt as SYSTEM.
function(advisor_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                                           -Wimplicit-fallthrough -Wcast-qual)
  if(ADVISOR_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
