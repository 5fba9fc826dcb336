#ifndef ADVISOR_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define ADVISOR_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor::testing {

inline const absl::Status& StatusOf(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& s) {
  return s.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// StatusIs(code, matcher of the message).
MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::ExplainMatchResult(message, std::string(StatusOf(arg).message()),
                                       result_listener);
}

}  // namespace advisor::testing

#define ADVISOR_ASSERT_OK_AND_ASSIGN_CONCAT_(a, b) a##b
#define ADVISOR_ASSERT_OK_AND_ASSIGN_NAME_(a, b) ADVISOR_ASSERT_OK_AND_ASSIGN_CONCAT_(a, b)
// ASSERT_OK_AND_ASSIGN(auto x, MakeX()): fails the test with the status when it is not OK.
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  ASSERT_OK_AND_ASSIGN_IMPL_(ADVISOR_ASSERT_OK_AND_ASSIGN_NAME_(statusor_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                               \
  ASSERT_TRUE(tmp.ok()) << tmp.status();           \
  lhs = *std::move(tmp)

#endif  // ADVISOR_TESTS_SUPPORT_STATUS_MATCHERS_H_
