#include "proto/convert/status.h"

#include <google/protobuf/unknown_field_set.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(StatusConvertTest, CodesAndTextsReturn) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");
    const absl::Status back = FromGrpc(ToGrpc(status));
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), status.message());
  }
  // 31: the largest that the enumeration can hold and no code.
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(31), "x")).code(),
            absl::StatusCode::kUnknown);
}

TEST(StatusConvertTest, LongTextsAreCut) {
  const grpc::Status status = ToGrpc(absl::InternalError(std::string(5000, 'x')));
  EXPECT_EQ(status.error_message().size(), 1024u);
}

using Fields = google::protobuf::UnknownFieldSet;

// Length-delimited fields with this number.
std::vector<std::string> Texts(const std::string& bytes, int number) {
  Fields fields;
  EXPECT_TRUE(fields.ParseFromString(bytes));
  std::vector<std::string> texts;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == number) {
      texts.push_back(fields.field(i).length_delimited());
    }
  }
  return texts;
}

TEST(StatusConvertTest, DetailsSayWhyAndWhetherToTryAgain) {
  const std::string bytes =
      ToGrpc(absl::ResourceExhaustedError("TOO_MANY_STREAMS: 4 are open")).error_details();
  EXPECT_EQ(Texts(bytes, 2), std::vector<std::string>{"TOO_MANY_STREAMS: 4 are open"});
  const std::vector<std::string> details = Texts(bytes, 3);
  ASSERT_EQ(details.size(), 2u);
  EXPECT_EQ(Texts(details[0], 1),
            std::vector<std::string>{"type.googleapis.com/google.rpc.ErrorInfo"});
  const std::string info = Texts(details[0], 2).at(0);
  EXPECT_EQ(Texts(info, 1), std::vector<std::string>{"TOO_MANY_STREAMS"});
  EXPECT_EQ(Texts(info, 2), std::vector<std::string>{"advisor.v1"});
  EXPECT_EQ(Texts(details[1], 1),
            std::vector<std::string>{"type.googleapis.com/google.rpc.RetryInfo"});
  Fields delay;
  ASSERT_TRUE(delay.ParseFromString(Texts(Texts(details[1], 2).at(0), 1).at(0)));
  EXPECT_EQ(delay.field(0).varint(), 1u);

  const auto kinds = [](const absl::Status& status) {
    return Texts(ToGrpc(status).error_details(), 3).size();
  };
  EXPECT_EQ(kinds(absl::FailedPreconditionError("MODEL_MISMATCH: no")), 1u);
  EXPECT_EQ(kinds(absl::UnavailableError("busy")), 1u);
  EXPECT_EQ(kinds(absl::InvalidArgumentError("no")), 0u);
  EXPECT_EQ(ToGrpc(absl::InvalidArgumentError("no")).error_details(), "");
}

TEST(StatusConvertTest, AFieldAtFaultIsNamed) {
  const std::string bytes =
      ToGrpc(absl::InvalidArgumentError("hello.node has 0 bytes, must be 1 to 128"))
          .error_details();
  const std::vector<std::string> details = Texts(bytes, 3);
  ASSERT_EQ(details.size(), 1u);
  EXPECT_EQ(Texts(details[0], 1),
            std::vector<std::string>{"type.googleapis.com/google.rpc.BadRequest"});
  const std::string violation = Texts(Texts(details[0], 2).at(0), 1).at(0);
  EXPECT_EQ(Texts(violation, 1), std::vector<std::string>{"hello.node"});
  EXPECT_EQ(Texts(violation, 2),
            std::vector<std::string>{"hello.node has 0 bytes, must be 1 to 128"});
  EXPECT_EQ(ToGrpc(absl::NotFoundError("hello.node is not there")).error_details(), "");
}

TEST(RetryDelayOfTest, IsWhatThePeerAskedFor) {
  EXPECT_EQ(RetryDelayOf(FromGrpc(ToGrpc(absl::UnavailableError("busy")))), absl::Seconds(1));
  EXPECT_EQ(RetryDelayOf(FromGrpc(ToGrpc(absl::AbortedError("no")))), absl::ZeroDuration());
  EXPECT_EQ(RetryDelayOf(absl::UnavailableError("our own")), absl::ZeroDuration());
}

TEST(RetryDelayOfTest, CanBeSaid) {
  for (const int ms : {1, 999, 1000, 20'345}) {
    const absl::Status status =
        WithRetryDelay(absl::ResourceExhaustedError("busy"), absl::Milliseconds(ms));
    EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(ms));
    EXPECT_EQ(RetryDelayOf(FromGrpc(ToGrpc(status))), absl::Milliseconds(ms));
  }
}

TEST(RetryDelayOfTest, DetailsOfAStrangePeerAreNoHarm) {
  const std::string good = ToGrpc(absl::UnavailableError("busy")).error_details();
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      const grpc::Status status(grpc::StatusCode::UNAVAILABLE, "busy", bytes);
      EXPECT_GE(RetryDelayOf(FromGrpc(status)), absl::ZeroDuration());
      const grpc::Status cut(grpc::StatusCode::UNAVAILABLE, "busy", good.substr(0, i));
      EXPECT_GE(RetryDelayOf(FromGrpc(cut)), absl::ZeroDuration());
    }
  }
}

TEST(FieldOfTest, IsTheLeadingPath) {
  EXPECT_EQ(FieldOf(absl::InvalidArgumentError("cells[3] is 9, must be below 8")), "cells[3]");
  EXPECT_EQ(FieldOf(absl::InvalidArgumentError("phase is 7, must be 1")), "phase");
  EXPECT_EQ(FieldOf(absl::InvalidArgumentError("a second Hello")), "");
  EXPECT_EQ(FieldOf(absl::InvalidArgumentError("phase")), "");
  EXPECT_EQ(FieldOf(absl::OkStatus()), "");
}

TEST(ReasonOfTest, IsTheLeadingWordInCapitals) {
  EXPECT_EQ(ReasonOf(absl::AbortedError("STALE_INCARNATION: a newer one")), "STALE_INCARNATION");
  EXPECT_EQ(ReasonOf(absl::AbortedError("Something: else")), "");
  EXPECT_EQ(ReasonOf(absl::AbortedError("NOTHING")), "");
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
}

}  // namespace
}  // namespace advisor
