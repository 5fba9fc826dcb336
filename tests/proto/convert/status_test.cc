#include "proto/convert/status.h"

#include <string>

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(StatusConvertTest, CodesAndTextsReturn) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(99), "x")).code(),
            absl::StatusCode::kUnknown);
}

TEST(StatusConvertTest, LongTextsAreCut) {
  const grpc::Status status = ToGrpc(absl::InternalError(std::string(5000, 'x')));
  EXPECT_EQ(status.error_message().size(), 1024u);
}

TEST(ReasonOfTest, IsTheLeadingWordInCapitals) {
  EXPECT_EQ(ReasonOf(absl::AbortedError("STALE_INCARNATION: a newer one")), "STALE_INCARNATION");
  EXPECT_EQ(ReasonOf(absl::AbortedError("Something: else")), "");
  EXPECT_EQ(ReasonOf(absl::AbortedError("NOTHING")), "");
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
}

}  // namespace
}  // namespace advisor
