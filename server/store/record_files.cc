#include "server/store/record_files.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "core/io/atomic_file.h"
#include "nlohmann/json.hpp"

namespace advisor::server {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// A line of JSON with everything but the plan, then the plan.
std::string Compose(const RecordText& text) {
  const Json envelope = {{"format", "moe-advisor-record"},     {"version", 1},
                         {"deployment", text.deployment},      {"epoch", text.position.epoch},
                         {"revision", text.position.revision}, {"head", text.head},
                         {"head_hash", text.head_hash},        {"plan_hash", text.plan_hash}};
  return absl::StrCat(envelope.dump(-1, ' ', false, Json::error_handler_t::replace), "\n",
                      text.plan);
}

std::optional<RecordText> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line)) {
    return std::nullopt;
  }
  std::ostringstream rest;
  rest << file.rdbuf();
  try {
    const Json envelope = Json::parse(line);
    RecordText text;
    text.deployment = envelope.at("deployment").get<std::string>();
    text.position = {envelope.at("epoch").get<uint64_t>(), envelope.at("revision").get<uint64_t>()};
    text.head = envelope.at("head").get<std::string>();
    text.head_hash = envelope.at("head_hash").get<uint64_t>();
    text.plan_hash = envelope.at("plan_hash").get<uint64_t>();
    text.plan = std::move(rest).str();
    return text;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::string RecordFiles::Path(const std::string& deployment, const char* which) const {
  return absl::StrCat(folder_, "/", deployment, ".", which);
}

absl::Status RecordFiles::Write(const RecordText& text) const {
  std::error_code error;
  fs::create_directories(folder_, error);  // an error shows below
  const std::string last = Path(text.deployment, "last");
  const std::optional<RecordText> old = ReadFile(last);
  if (old && old->position != text.position) {
    fs::rename(last, Path(text.deployment, "previous"), error);
  }
  return WriteFileAtomically(last, Compose(text));
}

std::vector<RecordText> RecordFiles::Read(const std::string& deployment) const {
  std::vector<RecordText> texts;
  for (const char* which : {"last", "previous"}) {
    std::optional<RecordText> text = ReadFile(Path(deployment, which));
    if (text && text->deployment == deployment) {
      texts.push_back(*std::move(text));
    }
  }
  return texts;
}

}  // namespace advisor::server
