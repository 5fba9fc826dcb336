#ifndef ADVISOR_SERVER_VERSION_H_
#define ADVISOR_SERVER_VERSION_H_

namespace advisor::server {

inline constexpr char kVersion[] = ADVISOR_VERSION;  // the CMake project's

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_VERSION_H_
