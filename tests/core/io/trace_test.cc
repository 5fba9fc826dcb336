#include "core/io/trace.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/files.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using absl::StatusCode;
using ::advisor::testing::IsOk;
using ::advisor::testing::ReadFile;
using ::advisor::testing::StatusIs;
using ::advisor::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

ModelSpec SmallModel(int experts) {
  ModelSpec model;
  model.name = "small";
  model.moe_layers = 3;
  model.first_moe_layer = 1;
  model.hidden_layers = 4;
  model.experts = experts;
  model.top_k = 2;
  model.hidden_size = 64;
  return model;
}

Traffic RandomTraffic(int experts, int requests) {
  Traffic traffic;
  traffic.model = SmallModel(experts);
  traffic.source = "test";
  Rng rng(1);
  for (int i = 0; i < requests; ++i) {
    Request r;
    r.id = absl::StrCat("r-", i, " \"é\"");
    r.domain = i % 2 == 0 ? "law" : "";
    r.tokens = static_cast<int>(rng.Below(20));
    r.prompt_tokens = static_cast<int>(rng.Below(r.tokens + 1));
    for (int cell = 0; cell < r.tokens * traffic.model.moe_layers; ++cell) {
      const uint32_t first = rng.Below(experts);
      r.experts.push_back(static_cast<uint16_t>(first));
      r.experts.push_back(static_cast<uint16_t>((first + 1 + rng.Below(experts - 1)) % experts));
    }
    if (i % 3 == 0) {
      r.arrival_ms = i * 0.1;
      r.weight = 1 + i / 7.0;
    }
    traffic.requests.push_back(r);
  }
  return traffic;
}

Request CountsRequest(const ModelSpec& model) {
  Request r;
  r.id = "sums";
  r.tokens = r.prompt_tokens = 70000;
  r.counts.assign(size_t(model.moe_layers) * model.experts, 0);
  for (int l = 0; l < model.moe_layers; ++l) {
    r.counts[size_t(l) * model.experts + l] = 140000;
  }
  return r;
}

void ExpectEqual(const Traffic& a, const Traffic& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.source, b.source);
  ASSERT_EQ(a.requests.size(), b.requests.size());
  for (size_t i = 0; i < a.requests.size(); ++i) {
    const Request &x = a.requests[i], &y = b.requests[i];
    EXPECT_EQ(x.id, y.id);
    EXPECT_EQ(x.domain, y.domain);
    EXPECT_EQ(x.tokens, y.tokens);
    EXPECT_EQ(x.prompt_tokens, y.prompt_tokens);
    EXPECT_EQ(x.experts, y.experts);
    EXPECT_EQ(x.counts, y.counts);
    EXPECT_EQ(x.arrival_ms, y.arrival_ms);
    EXPECT_EQ(x.weight, y.weight);
  }
}

TEST(TraceTest, RoundTripsPlainAndCompressedBothWidths) {
  TemporaryFolder folder;
  for (int experts : {4, 256, 300}) {
    Traffic traffic = RandomTraffic(experts, 40);
    traffic.requests.push_back(CountsRequest(traffic.model));
    for (const char* name : {"t.jsonl", "t.jsonl.gz"}) {
      ASSERT_THAT(WriteTrace(folder.Path(name), traffic), IsOk());
      ASSERT_OK_AND_ASSIGN(const Traffic back, ReadTrace(folder.Path(name)));
      ExpectEqual(traffic, back);
    }
    ASSERT_OK_AND_ASSIGN(const Traffic parsed,
                         ParseTrace(ReadFile(folder.Path("t.jsonl")), "text"));
    ExpectEqual(traffic, parsed);
    EXPECT_LT(ReadFile(folder.Path("t.jsonl.gz")).size(), ReadFile(folder.Path("t.jsonl")).size());
  }
}

TEST(TraceTest, WritesTheSameBytesTwice) {
  TemporaryFolder folder;
  const Traffic traffic = RandomTraffic(8, 10);
  ASSERT_THAT(WriteTrace(folder.Path("a.jsonl.gz"), traffic), IsOk());
  ASSERT_THAT(WriteTrace(folder.Path("b.jsonl.gz"), traffic), IsOk());
  EXPECT_EQ(ReadFile(folder.Path("a.jsonl.gz")), ReadFile(folder.Path("b.jsonl.gz")));
}

TEST(TraceTest, ModelKeysRoundTrip) {
  TemporaryFolder folder;
  Traffic traffic;
  traffic.model = SmallModel(8);
  traffic.model.first_moe_layer = 0;
  traffic.model.moe_layer_indices = {0, 2, 3};
  traffic.model.expert_groups = 4;
  traffic.model.groups_per_token = 2;
  traffic.model.combine_bytes_per_value = 0.1;
  traffic.model.expert_bytes = int64_t{1} << 40;
  ASSERT_THAT(WriteTrace(folder.Path("t.jsonl"), traffic), IsOk());
  ASSERT_OK_AND_ASSIGN(const Traffic back, ReadTrace(folder.Path("t.jsonl")));
  EXPECT_EQ(back.model, traffic.model);
}

// One token, layers x top_k = [[0, 1], [1, 2], [2, 3]].
constexpr char kHeader[] =
    R"({"format":"moe-routing-trace","version":1,"model":{"moe_layers":3,"experts":4,"top_k":2},"source":"s"})";
constexpr char kRequest[] =
    R"({"request_id":"a","domain":"law","prompt_tokens":1,"experts":{"shape":[1,3,2],"dtype":"uint8","data":"AAEBAgID"}})";
constexpr char kCounts[] =
    R"({"request_id":"c","tokens":1,"counts":{"shape":[3,4],"dtype":"uint32","data":"AQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAAAA"}})";

absl::Status ReadLines(const std::string& content) {
  TemporaryFolder folder;
  return ReadTrace(folder.Write("t.jsonl", content)).status();
}

// The status of a trace whose request line has `from` replaced by `to`.
absl::Status ReadEdited(const std::string& from, const std::string& to,
                        const std::string& line = kRequest) {
  const std::string edited = absl::StrReplaceAll(line, {{from, to}});
  EXPECT_NE(edited, line);
  return ReadLines(absl::StrCat(kHeader, "\n", edited, "\n"));
}

absl::Status ReadEditedHeader(const std::string& from, const std::string& to) {
  const std::string edited = absl::StrReplaceAll(kHeader, {{from, to}});
  EXPECT_NE(edited, kHeader);
  return ReadLines(absl::StrCat(edited, "\n", kRequest, "\n"));
}

TEST(TraceTest, ReadsTheSmallTrace) {
  EXPECT_THAT(ReadLines(absl::StrCat(kHeader, "\n", kRequest, "\n", kCounts, "\n\n")), IsOk());
  EXPECT_THAT(ReadLines(absl::StrCat(kHeader, "\r\n", kRequest, "\r\n", kCounts)), IsOk());
  EXPECT_THAT(ReadEdited("\"prompt", "\"new_key\":{},\"prompt"), IsOk());
}

TEST(TraceTest, RefusesBadHeaders) {
  EXPECT_THAT(ReadLines(""), StatusIs(StatusCode::kDataLoss, HasSubstr("empty")));
  EXPECT_THAT(ReadLines("[]\n"), StatusIs(StatusCode::kInvalidArgument,
                                          HasSubstr("t.jsonl:1: is [], must be an object")));
  EXPECT_THAT(ReadEditedHeader("\"format\":\"moe-routing-trace\",", ""),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("t.jsonl:1: format is missing")));
  EXPECT_THAT(ReadEditedHeader("moe-routing-trace", "moe-placement-plan"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("format is \"moe-placement-plan\", must be")));
  EXPECT_THAT(ReadEditedHeader("\"version\":1,", ""),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("version is missing")));
  EXPECT_THAT(
      ReadEditedHeader("\"version\":1", "\"version\":2"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("version is 2, must be an integer 1 .. 1")));
  EXPECT_THAT(ReadEditedHeader("\"moe_layers\":3", "\"moe_layers\":100000"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("model.moe_layers is 100000, must be an integer 1 .. 256")));
  EXPECT_THAT(ReadEditedHeader("\"top_k\":2", "\"top_k\":5"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("t.jsonl:1: model.top_k is 5, must be 1 .. 4")));
}

TEST(TraceTest, RefusesBadRequests) {
  const auto invalid = [](const std::string& text) {
    return StatusIs(StatusCode::kInvalidArgument, AllOf(HasSubstr("t.jsonl:2: "), HasSubstr(text)));
  };
  EXPECT_THAT(ReadEdited("\"a\"", "\"\""), invalid("request_id is empty"));
  EXPECT_THAT(ReadEdited("\"a\"", "\"a\\n\""),
              invalid("request_id is \"a\\n\", must be printable"));
  EXPECT_THAT(ReadEdited("\"a\"", "7"), invalid("request_id is 7, must be text"));
  EXPECT_THAT(ReadEdited("\"a\"", absl::StrCat("\"", std::string(257, 'a'), "\"")),
              invalid("at most 256 bytes"));
  EXPECT_THAT(ReadEdited("\"prompt_tokens\":1,", ""), invalid("prompt_tokens is missing"));
  EXPECT_THAT(ReadEdited("\"prompt_tokens\":1", "\"prompt_tokens\":2"),
              invalid("prompt_tokens is 2, must be an integer 0 .. 1"));
  EXPECT_THAT(ReadEdited("\"prompt_tokens\":1", "\"prompt_tokens\":1,\"arrival_ms\":-1"),
              invalid("arrival_ms is -1"));
  EXPECT_THAT(
      ReadEdited("[1,3,2]", "[1,2,3]"),
      invalid("experts.shape is [1, 2, 3], must be [tokens, MoE layers, top_k] = [1, 3, 2]"));
  EXPECT_THAT(ReadEdited("[1,3,2]", "[1.5,3,2]"), invalid("experts.shape has 1.5 at index 0"));
  EXPECT_THAT(ReadEdited("\"shape\":[1,3,2],", ""), invalid("experts.shape is []"));
  EXPECT_THAT(ReadEdited("[1,3,2]", "[1000000,3,2]"),
              invalid("experts.data has 8 characters, must be 8000000"));
  EXPECT_THAT(ReadEdited("[1,3,2]", "[9999999999,3,2]"),
              invalid("experts.shape has 9999999999 at index 0"));
  EXPECT_THAT(ReadEdited("uint8", "float32"),
              invalid("experts.dtype is \"float32\", must be uint8 or uint16"));
  EXPECT_THAT(ReadEdited("uint8", "uint16"), invalid("experts.data has 8 characters, must be 16"));
  EXPECT_THAT(ReadEdited("AAEBAgID", "AAEBAgI*"), invalid("experts.data is not base64"));
  EXPECT_THAT(ReadEdited("AAEBAgID", "AAEBAgIE"),
              invalid("token 0 layer 2: expert 4, must be below 4"));
  EXPECT_THAT(ReadEdited("AAEBAgID", "AAEBAgIC"), invalid("expert 2 is named twice"));
  EXPECT_THAT(ReadEdited("\"experts\"", "\"other\""), invalid("experts or counts must be there"));
  EXPECT_THAT(ReadEdited("{\"request_id\"", "{\"request_id\" \"x\""), invalid("not JSON at byte"));
  EXPECT_THAT(ReadEdited("\"tokens\":1", "\"tokens\":2", kCounts),
              invalid("counts sum to 2, must be tokens x top_k = 4"));
  EXPECT_THAT(ReadEdited("uint32", "uint8", kCounts),
              invalid("counts.dtype is \"uint8\", must be uint32"));
  EXPECT_THAT(ReadEdited("[3,4]", "[4,3]", kCounts), invalid("counts.shape is [4, 3], must be"));
  EXPECT_THAT(ReadEdited("\"tokens\":1", "\"tokens\":1,\"phase\":\"both\"", kCounts),
              invalid("phase is \"both\""));
}

TEST(TraceTest, NamesDoubledRequestIds) {
  EXPECT_THAT(ReadLines(absl::StrCat(kHeader, "\n", kCounts, "\n", kRequest, "\n", kRequest, "\n")),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("t.jsonl:4: request_id \"a\" is that of request 1 already")));
}

TEST(TraceTest, CountsOnlyPhaseSaysWhatIsPrompt) {
  TemporaryFolder folder;
  const std::string decode = absl::StrReplaceAll(
      kCounts, {{"\"tokens\"", "\"phase\":\"decode\",\"tokens\""}, {"\"c\"", "\"d\""}});
  ASSERT_OK_AND_ASSIGN(
      const Traffic traffic,
      ReadTrace(folder.Write("t.jsonl", absl::StrCat(kHeader, "\n", kCounts, "\n", decode, "\n"))));
  EXPECT_EQ(traffic.requests[0].prompt_tokens, 1);
  EXPECT_EQ(traffic.requests[1].prompt_tokens, 0);
  EXPECT_TRUE(traffic.requests[1].counts_only());
}

TEST(TraceTest, EveryCutOfAPlainTraceInsideALineIsDataLoss) {
  const std::string whole = absl::StrCat(kHeader, "\n", kRequest, "\n");
  const size_t header = std::string(kHeader).size();
  for (size_t n = 1; n < whole.size() - 1; ++n) {
    if (n != header && n != header + 1) {
      EXPECT_THAT(ReadLines(whole.substr(0, n)), StatusIs(StatusCode::kDataLoss, HasSubstr("cut")))
          << n;
    }
  }
}

TEST(TraceTest, EveryCutOfACompressedTraceIsDataLoss) {
  TemporaryFolder folder;
  ASSERT_THAT(WriteTrace(folder.Path("t.jsonl.gz"), RandomTraffic(8, 20)), IsOk());
  const std::string whole = ReadFile(folder.Path("t.jsonl.gz"));
  for (size_t n = 0; n < whole.size(); n += 7) {
    EXPECT_THAT(ReadTrace(folder.Write("cut.jsonl.gz", whole.substr(0, n))).status(),
                StatusIs(StatusCode::kDataLoss, HasSubstr("cut.jsonl.gz")))
        << n;
  }
}

TEST(TraceTest, ABrokenByteInACompressedTraceIsAnError) {
  TemporaryFolder folder;
  ASSERT_THAT(WriteTrace(folder.Path("t.jsonl.gz"), RandomTraffic(8, 20)), IsOk());
  std::string whole = ReadFile(folder.Path("t.jsonl.gz"));
  whole[whole.size() / 2] ^= 0x10;
  EXPECT_FALSE(ReadTrace(folder.Write("bad.jsonl.gz", whole)).ok());
}

TEST(TraceTest, MissingFileAndFolder) {
  TemporaryFolder folder;
  EXPECT_THAT(ReadTrace(folder.Path("none")), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(ReadTrace(folder.Path("")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("is a folder")));
}

TEST(TraceTest, NothingIsWrittenWhenARequestIsBad) {
  TemporaryFolder folder;
  Traffic traffic = RandomTraffic(8, 3);
  traffic.requests[2].id = "a\nb";
  EXPECT_THAT(WriteTrace(folder.Path("t.jsonl"), traffic),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("printable")));
  traffic.requests[2].id = "ok";
  traffic.requests[2].tokens += 1;
  EXPECT_THAT(WriteTrace(folder.Path("t.jsonl"), traffic),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("expert ids")));
  EXPECT_EQ(folder.FileCount(), 0);
}

TEST(TraceTest, ReadsTheRealTraces) {
  const char* traces = std::getenv("ADVISOR_TRACES");
  if (traces == nullptr) {
    GTEST_SKIP() << "ADVISOR_TRACES is not set: the real traces are not read";
  }
  ASSERT_OK_AND_ASSIGN(const Traffic lite,
                       ReadTrace(absl::StrCat(traces, "/deepseek-v2-lite.jsonl.gz")));
  EXPECT_EQ(lite.model.experts, 64);
  EXPECT_EQ(lite.requests.size(), 108u);
  ASSERT_OK_AND_ASSIGN(const Traffic oss, ReadTrace(absl::StrCat(traces, "/gpt-oss-20b.jsonl.gz")));
  EXPECT_EQ(oss.model.moe_layers, 24);
  EXPECT_EQ(oss.requests.size(), 354u);
}

}  // namespace
}  // namespace advisor
