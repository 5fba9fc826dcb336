#ifndef ADVISOR_CORE_BASE_STATUS_MACROS_H_
#define ADVISOR_CORE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define ADVISOR_CONCAT_INNER_(a, b) a##b
#define ADVISOR_CONCAT_(a, b) ADVISOR_CONCAT_INNER_(a, b)

// Returns from the enclosing function when `expr` (an absl::Status) is not OK.
#define RETURN_IF_ERROR(expr)              \
  do {                                     \
    absl::Status advisor_status_ = (expr); \
    if (!advisor_status_.ok()) {           \
      return advisor_status_;              \
    }                                      \
  } while (false)

// ASSIGN_OR_RETURN(auto x, MakeX()): moves the value out, or returns the Status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL_(ADVISOR_CONCAT_(advisor_statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) {                             \
    return std::move(tmp).status();            \
  }                                            \
  lhs = *std::move(tmp)

#endif  // ADVISOR_CORE_BASE_STATUS_MACROS_H_
