#ifndef ADVISOR_CORE_MODEL_REQUEST_ID_H_
#define ADVISOR_CORE_MODEL_REQUEST_ID_H_

#include <cstddef>

namespace advisor {

// Of a request's id, wherever it comes from; in traces of its domain too. Printable text.
inline constexpr size_t kMaxRequestIdBytes = 256;

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_REQUEST_ID_H_
