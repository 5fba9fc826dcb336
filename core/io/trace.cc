#include "core/io/trace.h"

#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/io/atomic_file.h"
#include "core/io/base64_array.h"
#include "core/io/json_object.h"
#include "core/io/line_reader.h"
#include "core/io/model_fields.h"
#include "core/model/request_id.h"

namespace advisor {
namespace {

constexpr char kFormat[] = "moe-routing-trace";
constexpr int kVersion = 1;
// Of a request's weight: beyond them sums of doubles lose the light ones.
constexpr double kLeastWeight = 1e-6, kMostWeight = 1e9;

// The `data` of `array`: base64 of exactly `want` little-endian integers of `width` bytes.
template <typename Int>
absl::Status ReadData(JsonObject& array, int width, size_t want, std::vector<Int>* out) {
  const nlohmann::json* data = array.Read("data", true);
  RETURN_IF_ERROR(array.status());
  const std::string* text = data->is_string() ? &data->get_ref<const std::string&>() : nullptr;
  const size_t length = Base64Length(want * width);
  if (text == nullptr || text->size() != length) {
    array.Fail("data",
               absl::StrFormat("has %d characters, must be %d of base64 for %d values of %d bytes",
                               text == nullptr ? 0 : text->size(), length, want, width));
  } else if (!DecodeIntegers(*text, width, want, out)) {
    array.Fail("data", "is not base64");
  }
  return array.status();
}

absl::Status CheckShape(JsonObject& array, const std::vector<int64_t>& shape,
                        const std::vector<int64_t>& want, const char* meaning) {
  if (array.status().ok() && shape != want) {
    std::string got, must;
    for (int64_t n : shape) {
      absl::StrAppend(&got, got.empty() ? "" : ", ", n);
    }
    for (int64_t n : want) {
      absl::StrAppend(&must, must.empty() ? "" : ", ", n);
    }
    array.Fail("shape", absl::StrCat("is [", got, "], must be ", meaning, " = [", must, "]"));
  }
  return array.status();
}

class FileTraceReader final : public TraceReader {
 public:
  explicit FileTraceReader(std::unique_ptr<LineReader> lines) : lines_(std::move(lines)) {}

  absl::Status ReadHeader();
  const ModelSpec& model() const override { return model_; }
  const std::string& source() const override { return source_; }
  std::string Where() const override { return lines_->Where(); }
  absl::StatusOr<bool> Next(Request* request) override;

 private:
  absl::Status ReadRequest(JsonObject& fields, Request* request);
  absl::Status ReadTokens(JsonObject& fields, Request* request);
  absl::Status ReadCounts(JsonObject& fields, Request* request);

  std::unique_ptr<LineReader> lines_;
  ModelSpec model_;
  std::string source_;
  std::string line_;  // reused from line to line
};

absl::Status FileTraceReader::ReadHeader() {
  ASSIGN_OR_RETURN(const bool any, lines_->Next(&line_));
  if (!any) {
    return absl::DataLossError(
        absl::StrCat(lines_->Where(), ": the file is empty, its first line must be the header"));
  }
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(line_, lines_->Where()));
  JsonObject fields(json, lines_->Where());
  fields.ReadFormat(kFormat, kVersion);
  fields.ReadString("source", &source_);
  JsonObject model = fields.ReadObject("model", true);
  ReadModelFields(model, &model_);
  fields.Merge(model.status());
  fields.Check(Validate(model_));
  return fields.status();
}

absl::StatusOr<bool> FileTraceReader::Next(Request* request) {
  ASSIGN_OR_RETURN(const bool more, lines_->Next(&line_));
  if (!more) {
    return false;
  }
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(line_, lines_->Where()));
  JsonObject fields(json, lines_->Where());
  RETURN_IF_ERROR(ReadRequest(fields, request));
  fields.Check(Validate(model_, *request));
  RETURN_IF_ERROR(fields.status());
  return true;
}

absl::Status FileTraceReader::ReadRequest(JsonObject& fields, Request* request) {
  request->id.clear();
  request->domain.clear();
  request->experts.clear();
  request->counts.clear();
  request->weight = 1;
  request->arrival_ms.reset();
  fields.ReadString("request_id", &request->id, true);
  fields.ReadString("domain", &request->domain);
  for (const auto& [key, text] :
       {std::pair{"request_id", &request->id}, std::pair{"domain", &request->domain}}) {
    if (!IsPrintable(*text, kMaxRequestIdBytes)) {
      fields.Fail(key, absl::StrFormat("is %s, must be printable and at most %d bytes",
                                       Shown(*text), kMaxRequestIdBytes));
    }
  }
  if (fields.status().ok() && request->id.empty()) {
    fields.Fail("request_id", "is empty");
  }
  if (fields.Has("arrival_ms")) {
    request->arrival_ms.emplace();
    fields.ReadDouble("arrival_ms", 0, std::numeric_limits<double>::max(), &*request->arrival_ms);
  }
  fields.ReadDouble("weight", kLeastWeight, kMostWeight, &request->weight);
  if (fields.Has("experts") == fields.Has("counts")) {
    fields.Fail("experts", "or counts must be there, one of them");
  }
  RETURN_IF_ERROR(fields.status());
  return fields.Has("experts") ? ReadTokens(fields, request) : ReadCounts(fields, request);
}

absl::Status FileTraceReader::ReadTokens(JsonObject& fields, Request* request) {
  JsonObject array = fields.ReadObject("experts");
  std::vector<int64_t> shape;
  std::string dtype;
  array.ReadIntList("shape", 0, kMaxTokensPerRequest, &shape);
  array.ReadString("dtype", &dtype, true);
  if (dtype != "uint8" && dtype != "uint16") {
    array.Fail("dtype", absl::StrCat("is ", Shown(dtype), ", must be uint8 or uint16"));
  }
  const int64_t tokens = shape.empty() ? 0 : shape[0];
  RETURN_IF_ERROR(CheckShape(array, shape, {tokens, model_.moe_layers, model_.top_k},
                             "[tokens, MoE layers, top_k]"));
  request->tokens = static_cast<int>(tokens);
  fields.ReadInt("prompt_tokens", 0, tokens, &request->prompt_tokens, true);
  RETURN_IF_ERROR(fields.status());
  const int width = dtype == "uint8" ? 1 : 2;
  return ReadData(array, width, size_t(tokens) * model_.moe_layers * model_.top_k,
                  &request->experts);
}

absl::Status FileTraceReader::ReadCounts(JsonObject& fields, Request* request) {
  fields.ReadInt("tokens", 0, std::numeric_limits<int32_t>::max(), &request->tokens, true);
  std::string phase;
  fields.ReadString("phase", &phase);
  if (phase != "" && phase != "prefill" && phase != "decode" && phase != "all") {
    fields.Fail("phase", absl::StrCat("is ", Shown(phase), ", must be prefill, decode or all"));
  }
  request->prompt_tokens = phase == "decode" ? 0 : request->tokens;
  fields.ReadInt("prompt_tokens", 0, request->tokens, &request->prompt_tokens);
  RETURN_IF_ERROR(fields.status());
  JsonObject array = fields.ReadObject("counts");
  std::vector<int64_t> shape;
  std::string dtype;
  array.ReadIntList("shape", 0, std::numeric_limits<int32_t>::max(), &shape);
  array.ReadString("dtype", &dtype, true);
  if (dtype != "uint32") {
    array.Fail("dtype", absl::StrCat("is ", Shown(dtype), ", must be uint32"));
  }
  RETURN_IF_ERROR(
      CheckShape(array, shape, {model_.moe_layers, model_.experts}, "[MoE layers, experts]"));
  return ReadData(array, 4, size_t(model_.moe_layers) * model_.experts, &request->counts);
}

// A line without its array's data, which is appended as text: a document tree would copy it.
std::string RequestLine(const ModelSpec& model, const Request& r) {
  nlohmann::ordered_json head;
  head["request_id"] = r.id;
  head["domain"] = r.domain;
  if (r.arrival_ms.has_value()) {
    head["arrival_ms"] = *r.arrival_ms;
  }
  if (r.weight != 1) {
    head["weight"] = r.weight;
  }
  if (!r.counts_only()) {
    head["prompt_tokens"] = r.prompt_tokens;
  } else {
    head["phase"] = r.prompt_tokens == r.tokens ? "prefill"
                    : r.prompt_tokens == 0      ? "decode"
                                                : "all";
    head["tokens"] = r.tokens;
    if (r.prompt_tokens != r.tokens && r.prompt_tokens != 0) {
      head["prompt_tokens"] = r.prompt_tokens;
    }
  }
  std::string line = ToText(head);
  line.pop_back();  // the closing brace
  if (r.counts_only()) {
    absl::StrAppend(&line, ",\"counts\":{\"shape\":[", model.moe_layers, ",", model.experts,
                    "],\"dtype\":\"uint32\"");
    return absl::StrCat(line, ",\"data\":\"", EncodeIntegers(r.counts, 4), "\"}}\n");
  }
  const bool narrow = model.experts <= 256;
  absl::StrAppend(&line, ",\"experts\":{\"shape\":[", r.tokens, ",", model.moe_layers, ",",
                  model.top_k, "],\"dtype\":\"", narrow ? "uint8" : "uint16");
  return absl::StrCat(line, "\",\"data\":\"", EncodeIntegers(r.experts, narrow ? 1 : 2), "\"}}\n");
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

absl::Status CheckWritable(const ModelSpec& model, const Request& r) {
  if (r.id.empty() || !IsPrintable(r.id, kMaxRequestIdBytes) ||
      !IsPrintable(r.domain, kMaxRequestIdBytes)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request \"%s\": id and domain must be printable and at most %d bytes",
                        absl::CHexEscape(r.id.substr(0, 60)), kMaxRequestIdBytes));
  }
  if (!r.counts_only() && r.tokens > kMaxTokensPerRequest) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "request \"%s\" has %d tokens, must be at most %d", r.id, r.tokens, kMaxTokensPerRequest));
  }
  return Validate(model, r);
}

absl::StatusOr<std::unique_ptr<TraceReader>> ReaderOf(std::unique_ptr<LineReader> lines) {
  auto reader = std::make_unique<FileTraceReader>(std::move(lines));
  RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

absl::StatusOr<Traffic> ReadAll(std::unique_ptr<TraceReader> reader) {
  Traffic traffic;
  traffic.model = reader->model();
  traffic.source = reader->source();
  absl::flat_hash_map<std::string, size_t> first_with_id;
  while (true) {
    Request request;
    ASSIGN_OR_RETURN(const bool more, reader->Next(&request));
    if (!more) {
      return traffic;
    }
    const auto [it, inserted] = first_with_id.emplace(request.id, traffic.requests.size());
    if (!inserted) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: request_id \"%s\" is that of request %d already, must be unique",
                          reader->Where(), request.id, it->second));
    }
    traffic.requests.push_back(std::move(request));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<TraceReader>> TraceReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<LineReader> lines, LineReader::Open(path));
  return ReaderOf(std::move(lines));
}

absl::StatusOr<Traffic> ReadTrace(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<TraceReader> reader, TraceReader::Open(path));
  return ReadAll(std::move(reader));
}

absl::StatusOr<Traffic> ParseTrace(std::string text, const std::string& name) {
  ASSIGN_OR_RETURN(std::unique_ptr<TraceReader> reader,
                   ReaderOf(LineReader::OfText(std::move(text), name)));
  return ReadAll(std::move(reader));
}

absl::StatusOr<std::string> TraceHeader(const Traffic& traffic) {
  RETURN_IF_ERROR(Validate(traffic.model));
  nlohmann::ordered_json header;
  header["format"] = kFormat;
  header["version"] = kVersion;
  header["model"] = ModelToJson(traffic.model);
  header["source"] = traffic.source;
  return ToText(header) + "\n";
}

absl::StatusOr<std::string> TraceLine(const ModelSpec& model, const Request& request) {
  RETURN_IF_ERROR(CheckWritable(model, request));
  return RequestLine(model, request);
}

absl::Status WriteTrace(const std::string& path, const Traffic& traffic) {
  ASSIGN_OR_RETURN(const std::string header, TraceHeader(traffic));
  const auto compression =
      EndsWith(path, ".gz") ? AtomicFile::Compression::kGzip : AtomicFile::Compression::kNone;
  ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> file, AtomicFile::Create(path, compression));
  RETURN_IF_ERROR(file->Append(header));
  for (const Request& request : traffic.requests) {
    ASSIGN_OR_RETURN(const std::string line, TraceLine(traffic.model, request));
    RETURN_IF_ERROR(file->Append(line));
  }
  return file->Commit();
}

}  // namespace advisor
